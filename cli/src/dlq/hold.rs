//! A hold on the letters of a DLQ: a look receives them, they stay hidden while it lasts so that none is seen twice, and are
//! released at its end.
//!
//! Of each letter that was seen, memory keeps 16 bytes; the receipts of those that are [held](super::held) are on disk. Beyond what SQS allows in flight, the
//! look works in [rounds](drumline_dlq::rounds).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{CallError, MAX_BATCH, SqsErrorKind};
use drumline::message::Message;
use drumline::run::NoopObserver;
use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::rounds::{self, HOLD_LIMIT, Rounds, Step};
use drumline_runtime::aws::{AwsQueue, is_fifo};
use drumline_runtime::{Queue, SqsError};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::held::{HeldLetters, Unreleased};
use super::notes;
use super::queue::{DeadLetterQueue, WAIT, unavailable};
use super::settle::Settler;
use super::spool::Receipt;
use crate::format::{millis, now_ms};
use crate::interrupt::interrupted;

/// Receives at once, where the queue gives as much as is asked for. Also the bound of what a killed process leaves hidden without a
/// receipt on disk: 40 letters.
const RECEIVES: usize = 4;

/// The hold of a look at few letters: what a killed look leaves hidden, and several times what it takes.
const SHORTEST: Duration = Duration::from_secs(30);

/// Letters received in a second, at the least; a hold lasts twice as long as their round takes at that. Holds that end before their
/// round bring their letters again, and are renewed by that.
const SLOWEST_PER_SEC: usize = 100;

/// The longest hold: so long are letters hidden after a process that was killed.
const LONGEST: Duration = Duration::from_mins(10);

/// Receives in a row that may fail, if SQS throttles them or cannot be reached.
const FAILED_RECEIVES: u32 = 5;

/// The wait after the first of them. It doubles.
const RECEIVE_AGAIN: Duration = Duration::from_millis(200);

/// How a look holds letters.
#[derive(Debug, Clone)]
pub(super) struct HoldOptions {
    /// The most letters to look at.
    pub(super) limit: usize,
    /// The length of a hold. By default it follows from the number of letters.
    pub(super) hold: Option<Duration>,
    /// The file for the receipts, for one that outlives the process. Letters whose receipts an earlier process has left in it are
    /// released first.
    pub(super) spool: Option<PathBuf>,
}

impl HoldOptions {
    /// A look at so many letters, at the most.
    pub(super) fn limited(limit: usize) -> Self {
        Self { limit, hold: None, spool: None }
    }
}

/// A letter that is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// With the receipt that holds it.
    pub(super) message: Message,
    /// The end of the hold, in milliseconds since the Unix epoch. The receipt must not be used after it.
    pub(super) until: u64,
}

impl Held {
    /// The message's id in 16 bytes.
    pub(super) fn id(&self) -> LetterId {
        LetterId::of(&self.message.id)
    }

    /// The receipt that holds it.
    pub(super) fn receipt(&self) -> Receipt {
        Receipt { id: self.id(), until: self.until, handle: self.message.receipt.clone() }
    }
}

/// The result of looking further.
#[derive(Debug)]
pub(super) enum Look {
    /// Letters that were not seen before, ten at most.
    Letters(Vec<Held>),
    /// Nothing more before the letters that are held are released, by [`Hold::next_round`].
    RoundOver,
    /// Nothing more.
    Over,
}

/// A look that holds letters.
pub(super) struct Hold<'a> {
    queue: &'a DeadLetterQueue,
    sqs: AwsQueue,
    options: HoldOptions,
    visibility: Duration,
    rounds: Rounds,
    seen: HashSet<LetterId>,
    /// Letters that were seen, and must be seen again.
    sought: HashSet<LetterId>,
    letters: HeldLetters,
    /// In tasks of their own: a receive that is dropped may hide letters unknown to the process.
    in_flight: JoinSet<Received>,
    /// Letters that those may bring, at the most.
    awaited: usize,
    /// Receives at once.
    width: usize,
    failed_receives: u32,
    pub(super) bar: ProgressBar,
}

/// An answer to a receive.
struct Received {
    asked: usize,
    until: u64,
    messages: Result<Vec<Message>, SqsError>,
}

impl<'a> Hold<'a> {
    /// Begins a look. It receives nothing yet, but releases the letters that an earlier process has left in the spool.
    pub(super) async fn begin(queue: &'a DeadLetterQueue, options: HoldOptions) -> Result<Self, ExitError> {
        let visibility = options.hold.unwrap_or_else(|| visibility(options.limit.min(queue.visible)));
        let sqs = AwsQueue::new(queue.clients.clone(), queue.url.clone(), Arc::new(NoopObserver));
        let sqs = sqs.receiving(WAIT, visibility).with_dead_letter_sources();
        let mut hold = Self {
            queue,
            letters: HeldLetters::open(options.spool.as_deref(), Settler::new(sqs.clone()))?,
            sqs,
            visibility,
            rounds: Rounds::new(queue.visible as u64, HOLD_LIMIT, is_fifo(&queue.name)),
            seen: HashSet::new(),
            sought: HashSet::new(),
            in_flight: JoinSet::new(),
            awaited: 0,
            width: 1,
            failed_receives: 0,
            bar: notes::progress_bar(options.limit.min(queue.visible)),
            options,
        };
        let unreleased = hold.letters.release_left().await?;
        hold.eprint_unreleased(&unreleased);
        Ok(hold)
    }

    /// The number of letters that were looked at.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Releases and deletes letters beside the look, which has to [`forget`](Self::forget) them.
    pub(super) fn settler(&self) -> Settler {
        self.letters.settler()
    }

    /// Returns letters that were not seen before, ten at most; none at the end. A new round may release all earlier ones: for looks
    /// that are done with a letter once they have read it.
    pub(super) async fn more(&mut self) -> Result<Vec<Held>, ExitError> {
        loop {
            match self.look().await? {
                Look::Letters(letters) => return Ok(letters),
                Look::RoundOver => self.next_round().await?,
                Look::Over => return Ok(Vec::new()),
            }
        }
    }

    /// Looks further. Cancel-safe: what it would have brought is released at the end.
    pub(super) async fn look(&mut self) -> Result<Look, ExitError> {
        loop {
            let step = if self.seen() < self.options.limit { self.rounds.next() } else { Step::End };
            if step == Step::Receive {
                self.receive_ahead();
            }
            let Some(received) = self.in_flight.join_next().await else {
                return Ok(if step == Step::ReleaseAll { Look::RoundOver } else { Look::Over });
            };
            let letters = self.take(received.unwrap_or_else(resume_panic))?;
            if !letters.is_empty() {
                return Ok(Look::Letters(letters));
            }
        }
    }

    /// Begins receives up to the number that the queue has shown to be worth it.
    fn receive_ahead(&mut self) {
        while self.in_flight.len() < self.width {
            let asked = MAX_BATCH.min(self.options.limit - self.seen() - self.awaited);
            if asked == 0 {
                return;
            }
            self.awaited += asked;
            let until = now_ms() + millis(self.visibility);
            let receive = self.sqs.receive(asked);
            let wait = match self.failed_receives {
                0 => Duration::ZERO,
                failed => RECEIVE_AGAIN * 2_u32.pow(failed - 1),
            };
            self.in_flight.spawn(async move {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                Received { asked, until, messages: receive.await }
            });
        }
    }

    /// Takes the answer to a receive, and returns the letters that were not seen before.
    fn take(&mut self, received: Received) -> Result<Vec<Held>, ExitError> {
        let Received { asked, until, messages } = received;
        self.awaited -= asked;
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) => {
                self.note_failure(&error)?;
                return Ok(Vec::new());
            }
        };
        self.failed_receives = 0;
        self.width = if messages.len() == asked { RECEIVES } else { 1 };
        let letters: Vec<Held> = messages.into_iter().map(|message| Held { message, until }).collect();
        self.letters.keep(letters.iter().map(Held::receipt).collect())?;
        let received = letters.len();
        let shown: Vec<Held> = letters.into_iter().filter(|held| self.seen.insert(held.id())).collect();
        let sought = shown.iter().filter(|held| self.sought.remove(&held.id())).count();
        let received = rounds::Received {
            new: (shown.len() - sought) as u64,
            sought: sought as u64,
            again: (received - shown.len()) as u64,
        };
        self.rounds.received(received, self.letters.count() as u64);
        self.bar.set_position(self.seen() as u64);
        Ok(shown)
    }

    /// Ends the look after a failed receive, unless it can go on.
    fn note_failure(&mut self, error: &SqsError) -> Result<(), ExitError> {
        self.width = 1;
        if is_full(error) {
            // Without a letter of its own in flight, a release would change nothing.
            if self.letters.count() == 0 && self.in_flight.is_empty() {
                return Err(unavailable(&self.queue.name, error));
            }
            self.rounds.refused_as_full();
            return Ok(());
        }
        self.failed_receives += 1;
        let may_pass = matches!(error.kind, SqsErrorKind::Throttled | SqsErrorKind::Unreachable);
        if may_pass && self.failed_receives < FAILED_RECEIVES {
            return Ok(());
        }
        Err(unavailable(&self.queue.name, error))
    }

    /// Deletes letters that are held. The results are in their order.
    pub(super) async fn delete(&mut self, letters: &[Receipt]) -> Vec<Result<(), CallError>> {
        let receipts = letters.iter().map(|receipt| receipt.handle.clone()).collect();
        let results = self.letters.settler().delete(receipts).await;
        let deleted = letters.iter().zip(&results).filter(|(_, result)| result.is_ok());
        self.forget(deleted.map(|(receipt, _)| receipt.id));
        results
    }

    /// Deletes those of the letters that are held, see [`HeldLetters::delete_among`].
    pub(super) async fn delete_among(
        &mut self,
        letters: &HashSet<LetterId>,
        deleted: &mut HashSet<LetterId>,
        each: impl FnMut(usize) -> Result<(), ExitError>,
    ) -> Result<(), ExitError> {
        let result = self.letters.delete_among(letters, deleted, each).await;
        self.sought.retain(|id| !deleted.contains(id));
        self.note_left();
        result
    }

    /// Records that letters are no longer held: they were deleted or released by a [`Settler`].
    pub(super) fn forget(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        for id in letters {
            self.letters.forget(id);
            self.sought.remove(&id);
        }
        self.note_left();
    }

    fn note_left(&mut self) {
        self.rounds.left(self.letters.count() as u64, self.sought.len() as u64);
    }

    /// Shows letters again if they are received again: they were released.
    pub(super) fn see_again(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        let letters: Vec<LetterId> = letters.into_iter().collect();
        self.forget(letters.iter().copied());
        self.hold_ended(letters);
    }

    /// Shows letters again whose hold has ended. A later receive of this look may hold them already: that is released at the end.
    pub(super) fn hold_ended(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        for id in letters {
            if self.seen.remove(&id) {
                self.sought.insert(id);
            }
        }
        self.note_left();
    }

    /// The letters that were released, or whose hold has ended, and that were not received again.
    pub(super) fn sought(&self) -> impl Iterator<Item = LetterId> {
        self.sought.iter().copied()
    }

    /// Continues a look that was over: deleted letters of a message group, or holds that have ended, may show others.
    pub(super) fn look_again(&mut self) {
        self.rounds.look_again();
    }

    /// Returns true if the queue is a FIFO queue.
    pub(super) fn is_fifo(&self) -> bool {
        is_fifo(&self.queue.name)
    }

    /// Releases all letters that are held, so that others can be received.
    pub(super) async fn next_round(&mut self) -> Result<(), ExitError> {
        let unreleased = self.letters.release_all().await?;
        self.rounds.released_all();
        self.eprint_unreleased(&unreleased);
        Ok(())
    }

    /// Reports how much was seen, and of that how much matches.
    pub(super) fn eprint_notes(&self, matching: Option<usize>) {
        self.bar.finish_and_clear();
        notes::eprint_seen(self.queue, self.seen(), self.options.limit, matching);
    }

    /// Ends the look: the letters that are held can be received again. Another signal ends it at once. Returns the number of those
    /// that could not be released.
    pub(super) async fn end(mut self) -> usize {
        self.bar.finish_and_clear();
        let unreleased = tokio::select! {
            unreleased = async {
                self.take_last().await;
                self.letters.release_all().await
            } => unreleased,
            _ = interrupted() => Ok(Unreleased { count: self.letters.count(), why: "interrupted".to_owned() }),
        };
        let unreleased = unreleased.unwrap_or_else(|error| self.letters.unreadable(&error));
        self.eprint_unreleased(&unreleased);
        if let Some(path) = &self.options.spool
            && unreleased.count == 0
        {
            // A file that stays has no receipt that can be used.
            let _ = std::fs::remove_file(path);
        }
        unreleased.count
    }

    /// Takes what the last receives bring, so that it is released.
    async fn take_last(&mut self) {
        while let Some(received) = self.in_flight.join_next().await {
            let Ok(Received { until, messages: Ok(messages), .. }) = received else { continue };
            let letters: Vec<Held> = messages.into_iter().map(|message| Held { message, until }).collect();
            // Without a place for their receipts they are released at once.
            let _ = self.letters.keep(letters.iter().map(Held::receipt).collect());
        }
    }

    fn eprint_unreleased(&self, unreleased: &Unreleased) {
        if unreleased.count > 0 {
            notes::eprint_unreleased(unreleased.count, self.visibility, &unreleased.why);
        }
    }
}

/// Returns true if SQS refuses a receive, since as many messages are in flight as it allows.
fn is_full(error: &SqsError) -> bool {
    error.kind == SqsErrorKind::Throttled && error.text.contains("OverLimit")
}

fn resume_panic<T>(error: tokio::task::JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}

/// The hold of a look at so many letters.
fn visibility(letters: usize) -> Duration {
    let round = Duration::from_secs((letters / SLOWEST_PER_SEC) as u64);
    (SHORTEST + 2 * round).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_look_hides_letters_for_minutes_at_the_most() {
        assert_eq!(visibility(1), Duration::from_secs(30));
        assert_eq!(visibility(1_000), Duration::from_secs(50));
        assert_eq!(visibility(usize::MAX), LONGEST);
    }
}
