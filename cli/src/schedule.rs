//! `drumline schedule`: runs jobs at set times.
//!
//! [`declared`] reads the timetable of the settings, [`view`] formats a schedule as JSON and as cells. Each other module is a
//! command.

mod declared;
mod ls;
mod pause;
mod run;
mod run_now;
mod view;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use declared::WHICH_SCHEDULES;
use ls::LsArgs;
use pause::{PauseArgs, ResumeArgs};
use run::RunArgs;
use run_now::RunNowArgs;

/// Runs jobs at set times: cron expressions and intervals
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = format!("\
Examples:
  {{program}} schedule run --config drumline.toml
  {{program}} schedule ls --config drumline.toml
  {{program}} schedule pause daily-report

{WHICH_SCHEDULES}

Exit status: 0 ok, 64 bad usage, 69 the outbox cannot be used; the help of each command lists its own statuses."))]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Ls(LsArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    RunNow(RunNowArgs),
}

pub(crate) fn schedule(args: &ScheduleArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    match &args.command {
        Command::Run(args) => run::run(args, environment),
        Command::Ls(args) => in_runtime(ls::ls(args, environment)),
        Command::Pause(args) => in_runtime(pause::pause(args, environment)),
        Command::Resume(args) => in_runtime(pause::resume(args, environment)),
        Command::RunNow(args) => in_runtime(run_now::run_now(args, environment)),
    }
}

fn in_runtime(work: impl Future<Output = Result<ExitCode, ExitError>>) -> Result<ExitCode, ExitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // No one waits for the answer of a request that is still in flight.
    runtime.shutdown_background();
    result
}
