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

Every replay, delete, export and undo is recorded under its name (--name) in the store of the settings (DRUMLINE_STORE_URL), where all \
operators who use that store see it: for 90 days after its last report, the last 200 of them. If the store is memory:, or cannot be \
reached, actions are recorded on the machine on which they run, in drumline/dlq of $XDG_STATE_HOME or ~/.local/state. A record has the \
flags of its command line, which may be values of bodies, and no letters.

States: running, done, stopped (by itself: too many letters returned, or something failed), aborted (by an operator), interrupted \
(its process is gone: it has not reported for a minute).

It needs the permissions of a worker on the store, and none on queues.

Exit status: 0 ok, 1 the action is not known or did not end, 64 bad usage, 69 the store cannot be reached."
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
