//! `drumline dlq`: what is in a dead-letter queue, and why.
//!
//! [`queue`] finds it, [`look`] takes its messages into view and puts them back, [`letter`] tells what each one is and why
//! it is there, [`filter`] picks some of them. A command is what it does with those.

mod filter;
mod letter;
mod look;
mod ls;
mod pretty;
mod queue;
mod reasons;
mod show;

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use drumline_runtime::Environment;

use super::exit::Failed;
use super::{histories, some_settings_args};

/// The end of every command's help. Paragraphs are lines, since a terminal is as wide as it is.
const A_LOOK_IS_A_RECEIVE: &str = "\
SQS has no way to look into a queue but to receive from it. So every look adds one to the receive count of the messages it \
shows, and hides them from everybody else until it ends, when they are put back. It deletes and moves nothing. Where the \
DLQ has a redrive policy of its own, looks can move its messages on: then nothing is done without --force. A FIFO queue \
shows no more than the first ten messages of each group at a time.\n\n\
Why a message is there comes from the history in the store (DRUMLINE_STORE_URL). Where that is memory:, the history is in \
the worker's memory, and the worker at DRUMLINE_HTTP_ADDR is asked, if it answers. Messages that were copied \
(DRUMLINE_PERMANENT_FAILURES=dead-letter) carry their reason with them.\n\n\
It needs sqs:ReceiveMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the DLQ, and without --dlq-url also \
sqs:GetQueueUrl there and sqs:GetQueueAttributes on its queue.";

pub(super) fn command() -> Command {
    Command::new("dlq")
        .about("Tells what is in a dead-letter queue, and why")
        .after_help(A_LOOK_IS_A_RECEIVE)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(ls::command())
        .subcommand(show::command())
}

pub(super) fn dlq(args: &ArgMatches, environment: &Environment) -> Result<ExitCode, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match args.subcommand() {
            // Large futures, with all that the SDK does in them.
            Some(("ls", args)) => Box::pin(ls::ls(args, environment)).await,
            Some(("show", args)) => Box::pin(show::show(args, environment)).await,
            other => unreachable!("clap knows no other command: {other:?}"),
        }
    });
    runtime.shutdown_background();
    result
}

/// Which DLQ, and who knows its messages' histories: what all commands have in common.
fn common_args() -> Vec<Arg> {
    let mut args = vec![
        Arg::new("dlq-url")
            .long("dlq-url")
            .value_name("URL")
            .help("The DLQ itself, where it is not to be found by its queue's redrive policy"),
        Arg::new("force")
            .long("force")
            .action(ArgAction::SetTrue)
            .help("Look also where the DLQ has a redrive policy, so that looks may move its messages on"),
    ];
    args.extend(some_settings_args(&["queue_url"]));
    args.extend(some_settings_args(&histories::SETTINGS).into_iter().filter(|arg| arg.get_id() != "config"));
    args
}
