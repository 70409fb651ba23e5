//! The parts of a running replay.

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
    /// The batch whose plan is written.
    pub(super) planned: Option<Batch>,
    pub(super) deletes: JoinSet<Deleted>,
    /// Letters of earlier processes that are sent and not deleted, by batch and place.
    pub(super) undeleted: HashMap<LetterId, (u64, usize)>,
    pub(super) undeletable: usize,
    /// The batch that was sent once more, since the answer to it was lost.
    pub(super) sent_again: Option<u64>,
    /// Returned messages that an earlier process has seen.
    pub(super) returned_before: usize,
    pub(super) accepted: usize,
    /// The time until which letters may be hidden by a receive of this process that it does not know of, in milliseconds since the
    /// Unix epoch.
    pub(super) hidden_until: u64,
    /// The time of the end of the last look.
    pub(super) looked_at: Instant,
    /// Letters were sent since that look began: some of them may be in the DLQ again.
    pub(super) sent_since: bool,
    /// A letter was deleted or a hold has ended since the look was over.
    pub(super) may_show_more: bool,
    /// The look that is under way is not the first one: letters that were sent are looked for, or put back.
    pub(super) is_repeated: bool,
    /// Looks in a row that brought no letter.
    pub(super) fruitless_looks: u32,
    pub(super) look: Looking,
    /// The first letters, until it is known if the rest follows.
    pub(super) first: Option<First>,
    pub(super) log: &'a ActionLog,
    pub(super) end: Option<End>,
}

/// How far the look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    On,
    /// The next round releases all letters, once none waits.
    RoundOver,
    Over,
}

/// Something that happened.
pub(super) enum Event {
    Looked(Result<Look, ExitError>),
    Written(std::io::Result<()>),
    Answered(Result<Vec<Sent>, SendError>),
    Deleted(Deleted),
    Interrupted(std::io::Result<u8>),
    Aborted(String),
    Waited,
}

/// The step that a batch is at.
pub(super) enum Stage {
    Idle,
    Writing(Commit),
    Sending(JoinHandle<Result<Vec<Sent>, SendError>>),
}

impl Stage {
    /// Waits for its end. Cancel-safe.
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

/// Letters on their way out of the DLQ.
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
    /// By the numbers of their messages.
    pub(super) messages: HashMap<LetterId, FirstMessage>,
    /// Looks for outcomes so far.
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
