//! Arguments that the commands share: the DLQ, the place of its messages' histories, and the name of an action.

use drumline_dlq::action::{ActionKind, check_name};
use drumline_runtime::Setting;

use super::operator::{default_actor, default_name};
use crate::job_lookup::HistorySettings;
use crate::output::Output;
use crate::settings_args::{Choice, SettingsArgs, ShownIn};

/// The end of every command's help. Paragraphs are single lines, because the width of the terminal is not known.
pub(super) const A_LOOK_IS_A_RECEIVE: &str = "\
Browsing a DLQ receives its messages: SQS has no read-only peek. Each receive adds one to the message's receive count, and hides the \
message from other receivers. When the command ends, it releases the messages; if it is killed, they stay hidden for at most ten minutes. \
Browsing deletes no messages. If the DLQ has its own redrive policy, browsing could move its messages to the next queue, so the command \
then needs --force. A FIFO queue shows only the first ten messages of each group at a time. The command holds at most 100,000 messages at \
a time; then it releases them and continues.\n\n\
The reason why a message is in the DLQ comes from the history in the store (DRUMLINE_STORE_URL). With memory:, the history is in the \
worker's memory, so the command asks the worker at DRUMLINE_HTTP_ADDR, if one answers. If a worker copied the message to the DLQ \
(DRUMLINE_PERMANENT_FAILURES=dead-letter), the message itself contains the reason.\n\n\
The command needs sqs:ReceiveMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the DLQ, and without --dlq-url also \
sqs:GetQueueUrl on the DLQ and sqs:GetQueueAttributes on the source queue.";

/// Reads the name of an action from the command line. The name becomes part of file names, object keys and printed commands.
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
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

impl ActionArgs {
    /// Returns the name for an action of this kind that begins at `at_ms`, in milliseconds since the Unix epoch.
    pub(super) fn name(&self, kind: ActionKind, at_ms: u64) -> String {
        self.name.clone().unwrap_or_else(|| default_name(kind.command(), at_ms))
    }

    /// Returns the name that the operator gave, if any.
    pub(super) fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the person or program that acts.
    pub(super) fn actor(&self) -> String {
        self.actor.clone().unwrap_or_else(default_actor)
    }
}

/// The dead-letter queue to read.
#[derive(Debug, clap::Args)]
pub(super) struct QueueArgs {
    /// The URL of the DLQ, instead of its source queue
    ///
    /// Without this flag, the command finds the DLQ in the queue's redrive policy.
    #[arg(long, value_name = "URL")]
    pub(super) dlq_url: Option<String>,
    /// Read the DLQ even if its own redrive policy may move received messages
    #[arg(long, hide_short_help = true)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs<QueueAndHistories>,
}

/// The settings that determine a queue and the histories of its messages.
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
