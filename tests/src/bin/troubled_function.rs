//! A function with its own handler, as a team would write it. The jobs fail at their first attempt if their payload says so.
#![allow(clippy::panic, reason = "it is what a test wants to see survived")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_lambda::App;
use serde::Deserialize;

/// Longer than any function of the tests may take.
const BLOCKED: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct Errand {
    /// The job's name in the diary.
    name: String,
    /// The file that records the runs.
    diary: PathBuf,
    trouble: Option<Trouble>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Trouble {
    /// The handler panics.
    Panic,
    /// The handler blocks a thread, and cancellation does not end it.
    Block,
    /// The process ends.
    Abort,
}

impl Job for Errand {
    const TYPE: &'static str = "errand";
}

async fn run(context: Context, errand: Errand) -> Result<(), Failure> {
    let mut diary = OpenOptions::new().append(true).create(true).open(&errand.diary)?;
    // One write for a whole line, because jobs run concurrently.
    diary.write_all(format!("{} {}\n", errand.name, context.attempt()).as_bytes())?;
    if context.attempt().get() > 1 {
        return Ok(());
    }
    match errand.trouble {
        None => Ok(()),
        Some(Trouble::Panic) => panic!("the errand {} is told to panic", errand.name),
        Some(Trouble::Block) => {
            let block = || {
                thread::sleep(BLOCKED);
                Ok(())
            };
            context.blocking(block).await
        }
        Some(Trouble::Abort) => std::process::abort(),
    }
}

fn main() -> ExitCode {
    App::new(|| Router::new().handle(run)).main()
}
