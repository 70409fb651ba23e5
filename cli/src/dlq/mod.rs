//! `drumline dlq`: reads, counts, exports, replays, deletes and watches dead letters.
//!
//! [`queue`] finds the DLQ, [`hold`] receives its messages and releases them, [`dead_letter`] is one message with its history,
//! and [`filter`] selects messages. Each command builds on these.

mod action_files;
mod action_log;
mod action_store;
mod actions;
mod archive;
mod common;
mod dead_letter;
mod delete;
mod done_jobs;
mod export;
mod filter;
mod held;
mod hold;
mod journal;
mod ls;
mod notes;
pub(crate) mod operator;
mod queue;
mod reasons;
mod recorded;
mod replay;
mod s3;
mod selection;
mod settle;
mod show;
mod spool;
mod stats;
mod undo;
mod unopened;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::{Environment, Service};

use actions::ActionsArgs;
use common::A_LOOK_IS_A_RECEIVE;
use delete::DeleteArgs;
use export::ExportArgs;
use ls::LsArgs;
use replay::ReplayArgs;
use show::ShowArgs;
use stats::StatsArgs;
use undo::UndoArgs;
use watch::WatchArgs;

/// Reads, exports, replays, deletes and watches dead letters
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = format!("\
Examples:
  {{program}} dlq stats --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq ls --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq show 01JQ3ZC5T8M1Y4 --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs

{A_LOOK_IS_A_RECEIVE}

Exit status: 0 done, 64 bad usage, 69 the queue cannot be reached; the help of each command lists its own statuses and its \
permissions."))]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Actions(ActionsArgs),
    Delete(DeleteArgs),
    Export(ExportArgs),
    Ls(LsArgs),
    Replay(Box<ReplayArgs>),
    Show(ShowArgs),
    Stats(StatsArgs),
    Undo(UndoArgs),
    Watch(WatchArgs),
}

/// Runs a command. `handlers_optional` is true for a program that may run without its own handlers.
pub(crate) fn dlq(
    args: &DlqArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<ExitCode, ExitError> {
    let router = match &args.command {
        Command::Replay(args) => replay::handlers(args, environment, service, handlers_optional)?,
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &args.command {
            Command::Actions(args) => Box::pin(actions::actions(args, environment)).await,
            // These futures are large, because they contain those of the SDK.
            Command::Delete(args) => Box::pin(delete::delete(args, environment)).await,
            Command::Export(args) => Box::pin(export::export(args, environment)).await,
            Command::Ls(args) => Box::pin(ls::ls(args, environment)).await,
            Command::Replay(args) => Box::pin(replay::replay(args, environment, router.as_ref())).await,
            Command::Show(args) => Box::pin(show::show(args, environment)).await,
            Command::Stats(args) => Box::pin(stats::stats(args, environment)).await,
            Command::Undo(args) => Box::pin(undo::undo(args, environment)).await,
            Command::Watch(args) => Box::pin(watch::watch(args, environment)).await,
        }
    });
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_name_of_an_action_is_checked_before_anything_is_done() {
        let commands: [&[&str]; 5] = [
            &["export", "s3://archive/dlq", "--name"],
            &["delete", "--no-export", "--name"],
            &["replay", "--name"],
            &["undo", "INC-42", "--name"],
            &["undo", "--yes"],
        ];
        let long = "n".repeat(81);
        for command in commands {
            for (name, expected) in
                [("INC-42", None), ("INC 42?", Some(())), ("#42", Some(())), (&long, Some(()))]
            {
                let words = ["dlq"].iter().chain(command).copied().chain([name]);
                let parsed =
                    Command::augment_subcommands(clap::Command::new("dlq")).try_get_matches_from(words);
                let refused = parsed.err().map(|error| error.kind());
                assert_eq!(refused, expected.map(|()| ErrorKind::ValueValidation), "{command:?} {name}");
            }
        }
    }
}
