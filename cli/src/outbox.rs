//! `drumline outbox`: commands about jobs that wait to be sent.
//!
//! [`row_view`] is the JSON view of such a job. Each other module is a command.

mod lag;
mod ls;
mod migrate;
mod remove;
mod retry;
mod row_view;
mod run;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use lag::LagArgs;
use ls::LsArgs;
use migrate::MigrateArgs;
use remove::RemoveArgs;
use retry::RetryArgs;
use run::RunArgs;
use show::ShowArgs;

use crate::opened_outbox::WHICH_OUTBOX;

/// Sends the jobs of an outbox, and lists, retries and removes them
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = format!("\
Examples:
  {{program}} outbox migrate --print | psql postgres://app@db/orders
  {{program}} outbox run
  {{program}} outbox ls --state parked
  {{program}} outbox lag

{WHICH_OUTBOX}

Exit status: 0 ok, 64 bad usage, 69 the outbox cannot be used; the help of each command lists its own statuses."))]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Retry(RetryArgs),
    Remove(RemoveArgs),
    Lag(LagArgs),
    Migrate(MigrateArgs),
}

pub(crate) fn outbox(args: &OutboxArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    if let Command::Run(args) = &args.command {
        return run::run(args, environment);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &args.command {
            Command::Run(_) => unreachable!("it has its own runtime"),
            Command::Ls(args) => ls::ls(args, environment).await,
            Command::Show(args) => show::show(args, environment).await,
            Command::Retry(args) => retry::retry(args, environment).await,
            Command::Remove(args) => remove::remove(args, environment).await,
            Command::Lag(args) => lag::lag(args, environment).await,
            Command::Migrate(args) => migrate::migrate(args, environment).await,
        }
    });
    // No one waits for the answer of a request that is still in flight.
    runtime.shutdown_background();
    result
}
