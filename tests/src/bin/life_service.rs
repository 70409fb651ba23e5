//! A service whose jobs fail as their payload says, as a worker, a function or a producer. Its hook for dead jobs writes one
//! row per key and one line per call.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use drumline::run::DeadJob;
use drumline::{Context, Failure, Job, Router};
use drumline_producer::Producer;
use drumline_runtime::LogFormat;
use drumline_runtime::logging::{self, Spans};
use serde::{Deserialize, Serialize};

/// The folder of rows and calls.
const FOLDER: &str = "LIFE_FOLDER";

/// Makes the program send one job with this correlation ID.
const SENDS: &str = "LIFE_SENDS";

/// A job that fails in this many attempts, is rejected, or kills its process.
#[derive(Serialize, Deserialize)]
struct Life {
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    is_rejected: bool,
    #[serde(default)]
    kills: bool,
}

impl Job for Life {
    const TYPE: &'static str = "life";
}

async fn handle(context: Context, life: Life) -> Result<(), Failure> {
    if life.kills {
        // Ends the process like the kernel does, without destructors.
        std::process::abort();
    }
    tracing::info!(step = 1, token = "s3cret-s3cret", "life begun");
    if life.is_rejected {
        return Err(Failure::reject("no such user"));
    }
    context.progress(1, 2, "steps");
    if context.attempt().get() <= life.failures { Err(Failure::retry("no route")) } else { Ok(()) }
}

/// Writes a row under the key, once, and a line for each call. If the folder says so, the first call kills its process between
/// the two.
async fn bury(job: DeadJob) -> Result<(), std::io::Error> {
    let folder = folder();
    append(&folder.join("calls"), &format!("{} {} {}", job.key, job.correlation_id, job.reason))?;
    match File::create_new(folder.join(job.key.replace(':', "-"))) {
        Ok(mut row) => writeln!(row, "{} {}", job.job_id, job.reason)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    if std::fs::remove_file(folder.join("kill-in-hook")).is_ok() {
        std::process::abort();
    }
    Ok(())
}

fn folder() -> PathBuf {
    drumline_consumer::variable(FOLDER).unwrap_or_default().into()
}

fn append(path: &Path, line: &str) -> Result<(), std::io::Error> {
    writeln!(OpenOptions::new().create(true).append(true).open(path)?, "{line}")
}

fn router() -> Router {
    Router::new().handle(handle).on_dead_job(bury)
}

async fn send(correlation_id: String) -> Result<(), Box<dyn Error + Send + Sync>> {
    let producer = Box::pin(Producer::connect()).await?;
    let life = Life { failures: 2, is_rejected: false, kills: false };
    producer.send(&life).correlation(correlation_id).await?;
    Ok(())
}

fn main() -> ExitCode {
    if let Some(correlation_id) = drumline_consumer::variable(SENDS) {
        logging::init(LogFormat::Json, "info", Spans::Innermost);
        let runtime = tokio::runtime::Runtime::new();
        let sent = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(send(correlation_id)));
        return sent.map_or_else(
            |error| {
                tracing::error!(%error, "not sent");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let known = [FOLDER, SENDS];
    if drumline_consumer::variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        drumline_lambda::App::new(async || router()).known_variables(&known).main()
    } else {
        drumline_cli::App::new(async || router()).known_variables(&known).main()
    }
}
