//! A function with a handler of its own, as a team writes one. Its jobs get into trouble at their first attempt, as far as
//! they are told to.
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
    /// What the diary calls it.
    name: String,
    /// A file that tells what has run.
    diary: PathBuf,
    trouble: Option<Trouble>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Trouble {
    /// The handler panics.
    Panic,
    /// The handler blocks a thread, and no cancelling ends it.
    Block,
    /// The process ends.
    Abort,
}

impl Job for Errand {
    const TYPE: &'static str = "errand";
}

async fn run(context: Context, errand: Errand) -> Result<(), Failure> {
    let mut diary = OpenOptions::new().append(true).create(true).open(&errand.diary)?;
    // One write for a whole line: jobs run side by side.
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
