//! The worker of `cargo xtask bench faults`: it takes its settings from the environment, and its one job does what its payload
//! requests.
//!
//! Each run appends a line of JSON to the file `FAULTY_EFFECTS` when it starts, and another one after its effect. Each line is
//! appended with one write, so lines of several processes do not mix.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The parts that both types of jobs share.
#[derive(Deserialize)]
struct Work {
    /// The duration of the job.
    #[serde(default)]
    ms: u64,
    /// The job fails while this file exists: its dependency is down.
    fail_while: Option<PathBuf>,
    /// The job holds a connection to this address while it works.
    connect: Option<String>,
    /// The job kills the process at its end.
    #[serde(default)]
    abort: bool,
}

#[derive(Deserialize)]
struct Plain(Work);

impl Job for Plain {
    const TYPE: &'static str = "faulty";
}

/// The same work under a lock.
#[derive(Deserialize)]
struct Locked {
    lock: String,
    #[serde(flatten)]
    work: Work,
}

impl Job for Locked {
    const TYPE: &'static str = "faulty.locked";

    fn lock(&self) -> Option<String> {
        Some(self.lock.clone())
    }
}

struct Effects(File);

impl Effects {
    fn open() -> Result<Self, String> {
        let path = drumline_consumer::variable("FAULTY_EFFECTS").ok_or("FAULTY_EFFECTS is not set")?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(Self).map_err(|error| format!("cannot open FAULTY_EFFECTS: {error}"))
    }

    fn record(&self, event: &str, context: &Context) -> io::Result<()> {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        let line = json!({
            "event": event,
            "job": context.job_id(),
            "pid": std::process::id(),
            "at_ms": u64::try_from(at_ms).unwrap_or(u64::MAX),
        });
        (&self.0).write_all(format!("{line}\n").as_bytes())
    }
}

async fn work(effects: &Effects, context: &Context, work: Work) -> Result<(), Failure> {
    effects.record("start", context)?;
    if work.fail_while.is_some_and(|file| file.exists()) {
        return Err(Failure::retry("the dependency is down"));
    }
    let connection = match &work.connect {
        Some(address) => Some(TcpStream::connect(address).await?),
        None => None,
    };
    tokio::time::sleep(Duration::from_millis(work.ms)).await;
    if work.abort {
        std::process::abort();
    }
    drop(connection);
    effects.record("end", context)?;
    Ok(())
}

fn router() -> Result<Router, String> {
    // A worker in forward mode runs no handler, and has no file.
    let plain = Arc::new(Effects::open()?);
    let locked = Arc::clone(&plain);
    let router = Router::new().handle(move |context: Context, job: Plain| {
        let effects = Arc::clone(&plain);
        async move { work(&effects, &context, job.0).await }
    });
    Ok(router.handle(move |context: Context, job: Locked| {
        let effects = Arc::clone(&locked);
        async move { work(&effects, &context, job.work).await }
    }))
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}
