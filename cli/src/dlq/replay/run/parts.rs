//! The state of a running replay.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use drumline::core::CallError;
use drumline_consumer::ExitError;
use drumline_dlq::canary::Canary;
use drumline_dlq::journal::Planned;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::pace::Pace;
use drumline_producer::{SendError, Sent};
use tokio::task::{JoinHandle, JoinSet};

use super::bounds::{Bounds, End};
use crate::dlq::action_log::ActionLog;
use crate::dlq::hold::Look;
use crate::dlq::journal::{Commit, Journal};
use crate::dlq::replay::batches::{Batch, Batches};
use crate::dlq::replay::decide::Decider;
use crate::dlq::replay::source::Source;
use crate::dlq::spool::Receipt;

/// A running replay.
pub(in crate::dlq::replay) struct Run<'a> {
    pub(super) letters: Source<'a>,
    pub(super) journal: Journal,
    pub(super) decider: Decider<'a>,
    pub(super) bounds: Bounds,
    pub(super) batches: Batches,
    pub(super) pace: Pace,
    pub(super) started: Instant,
    pub(super) stage: Stage,
    /// The batch whose plan is being written.
    pub(super) planned: Option<Batch>,
    pub(super) deletes: JoinSet<Deleted>,
    /// Letters that earlier processes have sent but not deleted, by batch and position.
    pub(super) undeleted: HashMap<LetterId, (u64, usize)>,
    pub(super) undeletable: usize,
    /// The batch that was sent again because the response to it was lost.
    pub(super) sent_again: Option<u64>,
    /// The number of returned messages that earlier processes have seen.
    pub(super) returned_before: usize,
    pub(super) accepted: usize,
    /// The time until which letters may be hidden by a receive of this process that it does not know of, in milliseconds since
    /// the Unix epoch.
    pub(super) hidden_until: u64,
    /// The time at which the last pass ended.
    pub(super) looked_at: Instant,
    /// True if letters were sent since that pass began: some of them may be in the DLQ again.
    pub(super) sent_since: bool,
    /// True if a letter was deleted or a hold has ended since the pass was over.
    pub(super) may_show_more: bool,
    /// True if the running pass is not the first one: it searches for sent letters or for letters that were put back.
    pub(super) is_repeated: bool,
    /// The number of consecutive passes that brought no letter.
    pub(super) fruitless_looks: u32,
    pub(super) look: Looking,
    /// The first letters, until it is known if the rest follows.
    pub(super) first: Option<First>,
    pub(super) log: &'a ActionLog,
    pub(super) end: Option<End>,
}

/// The progress of the pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    On,
    /// The next round releases all letters when none of them waits.
    RoundOver,
    Over,
}

/// An event that the main loop handles.
pub(super) enum Event {
    Looked(Result<Look, ExitError>),
    Written(std::io::Result<()>),
    Answered(Result<Vec<Sent>, SendError>),
    Deleted(Deleted),
    Interrupted(std::io::Result<u8>),
    Aborted(String),
    Waited,
}

/// The current step of a batch.
pub(super) enum Stage {
    Idle,
    Writing(Commit),
    Sending(JoinHandle<Result<Vec<Sent>, SendError>>),
}

impl Stage {
    /// Waits for the end of the step. Cancel-safe.
    pub(super) async fn event(&mut self) -> Event {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Writing(commit) => Event::Written(commit.written().await),
            Self::Sending(sending) => Event::Answered(
                sending.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())),
            ),
        }
    }
}

/// Letters that are being deleted from the DLQ.
pub(super) struct Deleted {
    pub(super) letters: Vec<ToDelete>,
    pub(super) results: Vec<Result<(), CallError>>,
}

/// A letter that was sent.
#[derive(Debug, Clone)]
pub(super) struct ToDelete {
    pub(super) place: Option<(u64, usize)>,
    pub(super) receipt: Receipt,
}

impl ToDelete {
    pub(super) fn planned(batch: u64, place: usize, letter: &Planned) -> Option<Self> {
        let handle = letter.receipt.clone()?;
        let receipt = Receipt { id: LetterId::of(&letter.letter), until: letter.until, handle };
        Some(Self { place: Some((batch, place)), receipt })
    }
}

/// The first letters of a run.
pub(super) struct First {
    pub(super) canary: Canary,
    /// The messages by their ids.
    pub(super) messages: HashMap<LetterId, FirstMessage>,
    /// The number of checks for outcomes so far.
    pub(super) looks: u32,
}

/// The message of one of the first letters.
#[derive(Debug, Clone)]
pub(super) struct FirstMessage {
    pub(super) id: String,
    pub(super) job_id: Arc<str>,
    pub(super) job_type: String,
    pub(super) queue_url: Arc<str>,
}

impl First {
    pub(super) fn new(canary: Canary) -> Self {
        Self { canary, messages: HashMap::new(), looks: 0 }
    }
}
