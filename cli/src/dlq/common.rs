//! The common part of the commands: which DLQ, where its messages' histories are, and what every action is called by.

use drumline_dlq::action::{ActionKind, check_name};
use drumline_runtime::Setting;

use super::operator::{default_actor, default_name};
use crate::job_lookup::HistorySettings;
use crate::output::Output;
use crate::settings_args::{Choice, SettingsArgs, ShownIn};

/// The end of every command's help. Paragraphs are lines, since a terminal is as wide as it is.
pub(super) const A_LOOK_IS_A_RECEIVE: &str = "\
SQS has no read-only look into a queue: a look receives. It adds one to the receive count of the messages it \
shows, and hides them from other receivers until it ends and releases them; a look that is killed leaves them hidden for ten \
minutes at most. A look itself deletes and moves nothing. If the DLQ has a redrive policy of its own, looks can move its messages on: then \
nothing is done without --force. A FIFO queue shows no more than the first ten messages of each group at a time. Of more than \
100,000 messages, a look releases those that it holds and continues.\n\n\
Why a message is there comes from the history in the store (DRUMLINE_STORE_URL). If that is memory:, the history is in \
the worker's memory, and the worker at DRUMLINE_HTTP_ADDR is asked, if it answers. Messages that were copied \
(DRUMLINE_PERMANENT_FAILURES=dead-letter) carry their reason with them.\n\n\
It needs sqs:ReceiveMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the DLQ, and without --dlq-url also \
sqs:GetQueueUrl there and sqs:GetQueueAttributes on its queue.";

/// Reads the name of an action from the command line: it becomes a part of files' and objects' names, and of commands that are shown.
pub(super) fn action_name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

/// The flags of every action.
#[derive(Debug, clap::Args)]
pub(super) struct ActionArgs {
    /// The action's name [default: KIND-DATE-TIME]
    #[arg(long, value_name = "NAME", value_parser = action_name)]
    name: Option<String>,
    /// The person or program that acts [default: USER@HOST]
    #[arg(long, hide_short_help = true, value_name = "TEXT")]
    actor: Option<String>,
    /// For people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

impl ActionArgs {
    /// Returns the name of an action of this kind that begins at this time, in milliseconds since the Unix epoch.
    pub(super) fn name(&self, kind: ActionKind, at_ms: u64) -> String {
        self.name.clone().unwrap_or_else(|| default_name(kind.command(), at_ms))
    }

    /// Returns the name that was given, if one was.
    pub(super) fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the person or program that acts.
    pub(super) fn actor(&self) -> String {
        self.actor.clone().unwrap_or_else(default_actor)
    }
}

/// A dead-letter queue that is looked into.
#[derive(Debug, clap::Args)]
pub(super) struct QueueArgs {
    /// The DLQ itself, instead of its queue
    ///
    /// Without it, the DLQ is found by the queue's redrive policy.
    #[arg(long, value_name = "URL")]
    pub(super) dlq_url: Option<String>,
    /// Look also if the DLQ has a redrive policy, so that looks may move its messages on
    #[arg(long, hide_short_help = true)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs<QueueAndHistories>,
}

/// The settings by which a queue and its messages' histories are found.
#[derive(Debug)]
pub(super) enum QueueAndHistories {}

impl Choice for QueueAndHistories {
    fn includes(key: &str) -> bool {
        key == "queue_url" || HistorySettings::includes(key)
    }

    fn shown(setting: &Setting) -> ShownIn {
        if setting.key == "queue_url" { ShownIn::BothHelps } else { ShownIn::LongHelp }
    }
}
