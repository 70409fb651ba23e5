//! Holds the letters of a DLQ while a command reads them. The command receives the letters, which stay hidden so that none is
//! seen twice, and releases them at its end.
//!
//! For each letter seen, memory keeps 16 bytes; the receipts of [held](super::held) letters are on disk. If the DLQ has more
//! letters than SQS allows in flight, the command works in [rounds](drumline_dlq::rounds).

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

/// The number of concurrent receives while the queue returns full batches. It also bounds how many letters a killed process
/// leaves hidden without a receipt on disk: 40.
const RECEIVES: usize = 4;

/// The hold for a few letters: several times the duration of the command. A killed process leaves its letters hidden for this
/// time.
const SHORTEST: Duration = Duration::from_secs(30);

/// The lowest assumed number of letters received per second. A hold lasts twice as long as its round takes at this rate. If a
/// hold ends before its round, the letter is received again, which renews its hold.
const SLOWEST_PER_SEC: usize = 100;

/// The longest hold: a killed process leaves letters hidden for at most this time.
const LONGEST: Duration = Duration::from_mins(10);

/// The number of consecutive receives that may fail because SQS throttles them or cannot be reached.
const FAILED_RECEIVES: u32 = 5;

/// The wait after the first failed receive. It doubles.
const RECEIVE_AGAIN: Duration = Duration::from_millis(200);

/// The options of a hold.
#[derive(Debug, Clone)]
pub(super) struct HoldOptions {
    /// The largest number of letters to read.
    pub(super) limit: usize,
    /// The duration of a hold. By default it depends on the number of letters.
    pub(super) hold: Option<Duration>,
    /// The file for the receipts, if it must outlive the process. Letters whose receipts an earlier process has left in it are
    /// released first.
    pub(super) spool: Option<PathBuf>,
}

impl HoldOptions {
    /// Returns options that read at most this many letters.
    pub(super) fn limited(limit: usize) -> Self {
        Self { limit, hold: None, spool: None }
    }
}

/// A letter that is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The message with the receipt that holds it.
    pub(super) message: Message,
    /// The end of the hold, in milliseconds since the Unix epoch. The receipt must not be used after this time.
    pub(super) until: u64,
}

impl Held {
    /// Returns the message's id in 16 bytes.
    pub(super) fn id(&self) -> LetterId {
        LetterId::of(&self.message.id)
    }

    /// Returns the receipt that holds the letter.
    pub(super) fn receipt(&self) -> Receipt {
        Receipt { id: self.id(), until: self.until, handle: self.message.receipt.clone() }
    }
}

/// The result of reading further.
#[derive(Debug)]
pub(super) enum Look {
    /// Letters that were not seen before, at most ten.
    Letters(Vec<Held>),
    /// No more letters until [`Hold::next_round`] releases those that are held.
    RoundOver,
    /// No more letters.
    Over,
}

/// A pass over a DLQ that holds the letters it receives.
pub(super) struct Hold<'a> {
    queue: &'a DeadLetterQueue,
    sqs: AwsQueue,
    options: HoldOptions,
    visibility: Duration,
    rounds: Rounds,
    seen: HashSet<LetterId>,
    /// Letters that were seen and must be received again.
    sought: HashSet<LetterId>,
    letters: HeldLetters,
    /// Receives that run in their own tasks: a dropped receive could hide letters that the process does not know of.
    in_flight: JoinSet<Received>,
    /// The largest number of letters that these receives may return.
    awaited: usize,
    /// The number of concurrent receives.
    width: usize,
    failed_receives: u32,
    pub(super) bar: ProgressBar,
}

/// The response to a receive.
struct Received {
    asked: usize,
    until: u64,
    messages: Result<Vec<Message>, SqsError>,
}

impl<'a> Hold<'a> {
    /// Begins a pass. It receives nothing yet, but releases the letters that an earlier process has left in the spool.
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

    /// Returns the number of letters seen.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Returns a settler that releases and deletes letters independently. The caller must then [`forget`](Self::forget) them.
    pub(super) fn settler(&self) -> Settler {
        self.letters.settler()
    }

    /// Returns at most ten letters that were not seen before; none at the end. A new round may release all earlier letters, so
    /// use it only if letters are no longer needed after they were read.
    pub(super) async fn more(&mut self) -> Result<Vec<Held>, ExitError> {
        loop {
            match self.look().await? {
                Look::Letters(letters) => return Ok(letters),
                Look::RoundOver => self.next_round().await?,
                Look::Over => return Ok(Vec::new()),
            }
        }
    }

    /// Reads further. Cancel-safe: letters of a dropped call are released at the end.
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

    /// Starts receives, up to the number that has proved useful for this queue.
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

    /// Processes the response to a receive, and returns the letters that were not seen before.
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

    /// Ends the pass after a failed receive, unless it can continue.
    fn note_failure(&mut self, error: &SqsError) -> Result<(), ExitError> {
        self.width = 1;
        if is_full(error) {
            // Without an own letter in flight, a release would change nothing.
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

    /// Deletes letters that are held. The results are in the order of the letters.
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

    /// Records that letters are no longer held because a [`Settler`] has deleted or released them.
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

    /// Lets released letters be returned again when they are received again.
    pub(super) fn see_again(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        let letters: Vec<LetterId> = letters.into_iter().collect();
        self.forget(letters.iter().copied());
        self.hold_ended(letters);
    }

    /// Lets letters whose hold has ended be returned again. A later receive of this pass may already hold them; it is released
    /// at the end.
    pub(super) fn hold_ended(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        for id in letters {
            if self.seen.remove(&id) {
                self.sought.insert(id);
            }
        }
        self.note_left();
    }

    /// Returns the letters that were released or whose hold has ended, and that were not received again.
    pub(super) fn sought(&self) -> impl Iterator<Item = LetterId> {
        self.sought.iter().copied()
    }

    /// Continues a pass that was over. Deleted letters of a message group, or holds that have ended, may make other letters
    /// visible.
    pub(super) fn look_again(&mut self) {
        self.rounds.look_again();
    }

    /// Returns true if the queue is a FIFO queue.
    pub(super) fn is_fifo(&self) -> bool {
        is_fifo(&self.queue.name)
    }

    /// Releases all held letters, so that others can be received.
    pub(super) async fn next_round(&mut self) -> Result<(), ExitError> {
        let unreleased = self.letters.release_all().await?;
        self.rounds.released_all();
        self.eprint_unreleased(&unreleased);
        Ok(())
    }

    /// Reports how many letters were seen, and how many of them match.
    pub(super) fn eprint_notes(&self, matching: Option<usize>) {
        self.bar.finish_and_clear();
        notes::eprint_seen(self.queue, self.seen(), self.options.limit, matching);
    }

    /// Ends the pass and releases the held letters. Another signal ends it at once. Returns the number of letters that could
    /// not be released.
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
            // The remaining file contains no valid receipt.
            let _ = std::fs::remove_file(path);
        }
        unreleased.count
    }

    /// Takes the letters of the last receives, so that they are released.
    async fn take_last(&mut self) {
        while let Some(received) = self.in_flight.join_next().await {
            let Ok(Received { until, messages: Ok(messages), .. }) = received else { continue };
            let letters: Vec<Held> = messages.into_iter().map(|message| Held { message, until }).collect();
            // If their receipts cannot be kept, the letters are released at once.
            let _ = self.letters.keep(letters.iter().map(Held::receipt).collect());
        }
    }

    fn eprint_unreleased(&self, unreleased: &Unreleased) {
        if unreleased.count > 0 {
            notes::eprint_unreleased(unreleased.count, self.visibility, &unreleased.why);
        }
    }
}

/// Returns true if SQS refuses a receive because the limit of messages in flight is reached.
fn is_full(error: &SqsError) -> bool {
    error.kind == SqsErrorKind::Throttled && error.text.contains("OverLimit")
}

fn resume_panic<T>(error: tokio::task::JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}

/// Returns the hold for this many letters.
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
