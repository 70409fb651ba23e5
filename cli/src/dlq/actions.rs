//! `drumline dlq actions`: past and running actions of operators on dead letters.

mod abort;
mod ls;
mod recorded;
mod show;
mod text;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use abort::AbortArgs;
use ls::LsArgs;
pub(super) use recorded::{unknown, unread};
use show::ShowArgs;

/// Lists replays, deletes, exports and undos, shows one of them, or aborts it
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Examples:
  {program} dlq actions
  {program} dlq actions show INC-42
  {program} dlq actions abort INC-42

An action is one run of replay, delete, export or undo. Each action is recorded under its name (--name) in the store of the settings \
(DRUMLINE_STORE_URL), where all operators who use that store see it. The store keeps the last 200 actions, each for 90 days after its last \
report. If the store is memory:, or cannot be reached, the command records the action on its own machine, in drumline/dlq of \
$XDG_STATE_HOME or ~/.local/state. A record contains the flags of the command line, which may include values of message bodies. It \
contains no letters.

States: running, done, stopped (the action stopped itself, because too many letters returned or an error occurred), aborted (by an \
operator), interrupted (the process has not reported for a minute, so it is presumably gone).

The command needs a worker's permissions on the store, and no permissions on queues.

Exit status: 0 ok, 1 the action is unknown or did not end, 64 bad usage, 69 the store cannot be reached."
)]
pub(super) struct ActionsArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    ls: LsArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(LsArgs),
    Show(ShowArgs),
    Abort(AbortArgs),
}

pub(super) async fn actions(args: &ActionsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    match &args.command {
        None => Box::pin(ls::ls(&args.ls, environment)).await,
        Some(Command::Ls(args)) => Box::pin(ls::ls(args, environment)).await,
        Some(Command::Show(args)) => Box::pin(show::show(args, environment)).await,
        Some(Command::Abort(args)) => Box::pin(abort::abort(args, environment)).await,
    }
}
