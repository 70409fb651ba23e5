//! `drumline jobs`: shows the known facts about jobs, once or as they change, and gives orders about single jobs.

mod lookup;
mod ls;
mod order;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use crate::format::now_ms;
use crate::job_text::write_job;
use crate::output::{Output, print};
use lookup::{JobArgs, WHO_IS_ASKED, unknown};
use ls::LsArgs;
use order::{CancelArgs, RetryArgs};
use watch::WatchArgs;

/// Lists, shows, watches, retries and cancels jobs
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = format!("\
Examples:
  {{program}} jobs ls --state failed
  {{program}} jobs show 01JQ3ZC5T8M1Y4
  {{program}} jobs cancel 01JQ3ZC5T8M1Y4 --why 'wrong price list'
  {{program}} jobs watch $({{program}} send --type email.send --payload @payload.json)

{WHO_IS_ASKED}

Exit status: 0 ok, 1 the job failed or is unknown, 64 bad usage, 69 the store or the worker does not answer."))]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(LsArgs),
    Show(ShowArgs),
    Watch(WatchArgs),
    Retry(RetryArgs),
    Cancel(CancelArgs),
}

/// Shows all known facts about a job
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} jobs show 01JQ3ZC5T8M1Y4
  {{program}} jobs show 01JQ3ZC5T8M1Y4 --store-url redis://cache:6379/0
  {{program}} jobs show 01JQ3ZC5T8M1Y4 --http-addr 10.0.3.7:9464
  {{program}} jobs show 01JQ3ZC5T8M1Y4 --output json | jq -r '.attempts[].reason'

{WHO_IS_ASKED}

States: running, waiting (for its next attempt), done, failed (permanently), unknown (only history is left).
The JSON is the same as a worker's answer at /jobs/ID.

Exit status: 0 shown, 1 the job is unknown, 64 bad usage, 69 the store or the worker does not answer."))]
struct ShowArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn jobs(args: &JobsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &args.command {
            Command::Ls(args) => ls::ls(args, environment).await,
            Command::Show(args) => show(args, environment).await,
            Command::Watch(args) => watch::watch(args, environment).await,
            Command::Retry(args) => order::retry(args, environment).await,
            Command::Cancel(args) => order::cancel(args, environment).await,
        }
    });
    // No one waits for the answer of a request that is still in flight.
    runtime.shutdown_background();
    result
}

async fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let (id, filter, histories) = args.job.open(environment).await?;
    let Some(job) = histories.job(id, &filter).await? else {
        return Err(unknown(id, &filter, &histories).await);
    };
    print(|out| match args.output {
        Output::Json => out.json_line(&job),
        Output::Table => {
            let is_terminal = out.is_terminal();
            write_job(out, &job, now_ms(), is_terminal)
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
