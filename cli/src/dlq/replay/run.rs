//! The main loop of a replay: one send at a time, with concurrent receives and deletes.
//!
//! The [journal](drumline_dlq::journal) determines what may be sent and deleted: a batch is sent after its plan is on disk, and
//! deleted after SQS's response is on disk. A process that is killed therefore leaves at most one batch in doubt. If the
//! response to a batch for a standard queue is lost, the batch is sent again; the second lost response ends the process with
//! its batch in doubt.

mod bounds;
mod canary;
mod deleting;
mod late;
mod parts;
mod sending;
mod taking;

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Planned, Record};
use drumline_dlq::pace::Pace;
use drumline_producer::MAX_BATCH_ENTRIES;
use tokio::task::JoinSet;

pub(super) use bounds::{Bounds, End, Outcome};
pub(super) use parts::Run;
use parts::{Event, First, Looking, Stage};

use super::batches::{Batch, Batches};
use super::counts::counts;
use super::decide::Decider;
use super::source::Source;
use crate::dlq::action_log::ActionLog;
use crate::dlq::hold::Look;
use crate::dlq::journal::Journal;
use crate::dlq::notes;
use crate::format::{count, millis, now_ms, verb};
use crate::interrupt::interrupted;

/// The largest number of letters that wait to be sent.
const PREFETCH: usize = 200;

/// The number of seconds' worth of letters, at the requested rate, that may wait.
const PREFETCH_SECS: f64 = 15.0;

/// The time between two searches for sent letters that are in the DLQ again.
const RETURNED_EVERY: Duration = Duration::from_secs(5);

/// The number of consecutive passes without a letter, although some were put back and must be received again.
const FRUITLESS_LOOKS: u32 = 3;

/// The number of concurrent delete calls.
const DELETES: usize = 4;

/// The wait for a pace that has no limit itself.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

impl<'a> Run<'a> {
    pub(super) fn new(
        letters: Source<'a>,
        journal: Journal,
        decider: Decider<'a>,
        bounds: Bounds,
        log: &'a ActionLog,
    ) -> Self {
        let pace = Pace::new(bounds.rate, drumline_dlq::pace::RAMP);
        let started = now();
        let first = bounds.canary.clone().map(First::new);
        Self {
            letters,
            returned_before: journal.log.state().returned(),
            journal,
            decider,
            bounds,
            batches: Batches::default(),
            pace,
            started,
            stage: Stage::Idle,
            planned: None,
            deletes: JoinSet::new(),
            undeleted: HashMap::new(),
            undeletable: 0,
            sent_again: None,
            accepted: 0,
            hidden_until: 0,
            looked_at: started,
            sent_since: false,
            may_show_more: false,
            is_repeated: false,
            fruitless_looks: 0,
            look: Looking::On,
            first,
            log,
            end: None,
        }
    }

    /// Runs until the end. Held letters are released in any case.
    pub(super) async fn run(mut self) -> Result<Outcome<'a>, ExitError> {
        let mut interrupt = pin!(interrupted());
        let mut result = Ok(());
        loop {
            if result.is_ok()
                && let Err(error) = self.next_step().await
            {
                result = Err(error);
            }
            if result.is_err() || self.end.is_some() {
                break;
            }
            let event = self.event(interrupt.as_mut()).await;
            if let Err(error) = self.handle(event).await {
                result = Err(error);
            }
        }
        let drained = self.drain().await;
        let is_queue = self.letters.settler().is_some();
        let (seen, returned) = (self.letters.seen(), self.returned());
        let unreleased = self.letters.end().await;
        self.decider.queue.eprint_unopened();
        let mut end = match (&result, &self.end) {
            (Ok(()), Some(end)) => end.clone(),
            (Err(_), _) | (_, None) => End::Stopped("an error".to_owned()),
        };
        if end == End::Done && is_queue {
            let queue = self.decider.queue;
            let hidden = queue.hidden_by_now().await.ok();
            notes::eprint_hidden(&queue.name, hidden);
            // Letters that are not hidden would have been received, so these are deleted.
            if hidden != Some(0) && !self.undeleted.is_empty() {
                self.undeletable += self.undeleted.len();
                end = End::Stopped("sent letters may be hidden in the DLQ still".to_owned());
            }
        }
        match &end {
            End::Done => self.journal.log.add(&Record::Ended { at: now_ms() }),
            // As after a kill, a resume must wait for the hidden letters.
            _ if unreleased > 0 => {}
            End::Interrupted(_) => self.journal.log.add(&stopped("interrupted")),
            End::Stopped(why) | End::Aborted(why) => self.journal.log.add(&stopped(why)),
        }
        let committed = self.journal.commit().await;
        result?;
        drained?;
        committed?;
        let Self { journal, decider, undeletable, .. } = self;
        Ok(Outcome { end, journal, decider, undeletable, returned, seen })
    }

    /// Starts the next step: the next batch, a commit of responses, or the next round.
    async fn next_step(&mut self) -> Result<(), ExitError> {
        if !matches!(self.stage, Stage::Idle) {
            return Ok(());
        }
        let returned = self.returned();
        if returned >= self.bounds.stop_after {
            let why =
                format!("{} {} dead again", count(returned, "replayed letter"), verb(returned, "is", "are"));
            self.end = Some(End::Stopped(why));
            return Ok(());
        }
        if self.may_look_again() && self.returned_ms() == Some(0) {
            self.look_again();
        }
        if self.deletes.len() < DELETES {
            let available = self.pace.available(self.started.elapsed());
            let is_last = self.look != Looking::On
                || self.accepted >= self.limit()
                || self.batches.len() >= self.prefetch();
            let is_ready = available > 0 && (is_last || self.batches.is_full(available));
            if is_ready && let Some(batch) = self.take_batch(available).await {
                // Before the plan is on disk: a job of an interrupted batch that is done has then run since. Not earlier: a
                // waiting letter may still be released.
                self.decider.forget(batch.letters.iter().flat_map(|letter| &letter.done)).await?;
                self.plan(batch);
                return Ok(());
            }
        }
        if self.journal.log.has_answers() {
            self.stage = Stage::Writing(self.journal.begin_commit());
        } else if self.batches.len() == 0 && self.deletes.is_empty() {
            self.continue_look().await?;
        }
        Ok(())
    }

    /// Continues the pass or ends the run, because no letter waits.
    async fn continue_look(&mut self) -> Result<(), ExitError> {
        if self.awaits_outcomes() {
            return Ok(());
        }
        if self.is_limit_reached() && self.undeleted.is_empty() && self.may_look_again() {
            match self.returned_ms() {
                Some(_) => self.look_again(),
                None => self.end = Some(End::Done),
            }
            return Ok(());
        }
        match self.look {
            Looking::On => {}
            Looking::RoundOver => {
                self.letters.next_round().await?;
                self.look = Looking::On;
            }
            Looking::Over if self.may_show_more || self.returned_ms().is_some() => self.look_again(),
            Looking::Over if self.hidden_ms() > 0 => self.note_hidden(),
            Looking::Over => {
                let missing = self.missing();
                if missing == 0 {
                    self.end = Some(End::Done);
                } else if self.fruitless_looks < FRUITLESS_LOOKS {
                    self.look_again();
                } else {
                    let letters = count(missing, "letter");
                    self.end = Some(End::Stopped(format!("{letters} were put back and not received again")));
                }
            }
        }
        Ok(())
    }

    /// Returns the number of messages of the replay that this process has seen in the DLQ.
    fn returned(&self) -> usize {
        self.journal.log.state().returned() - self.returned_before
    }

    /// Returns the number of letters that were put back, not received again, and must still be sent.
    fn missing(&self) -> usize {
        if self.is_limit_reached() {
            return 0;
        }
        let state = self.journal.log.state();
        self.letters.sought().filter(|letter| !state.was_sent(*letter)).count()
    }

    /// Returns true if the number of letters that are sent or waiting has reached the limit.
    pub(super) fn is_limit_reached(&self) -> bool {
        self.accepted >= self.bounds.limit
    }

    /// Returns true if no pass is running: the last one is over, or needs no more letters.
    fn may_look_again(&self) -> bool {
        self.look == Looking::Over || self.is_limit_reached() && !self.is_repeated
    }

    fn look_again(&mut self) {
        if std::mem::take(&mut self.may_show_more) {
            self.fruitless_looks = 0;
        }
        (self.sent_since, self.is_repeated) = (false, true);
        self.letters.look_again();
        self.look = Looking::On;
    }

    fn plan(&mut self, batch: Batch) {
        let planned = batch.letters.iter().map(|letter| {
            let (receipt, until) = letter.receipt.clone().unzip();
            Planned { letter: letter.letter.to_string(), receipt, until: until.unwrap_or_default() }
        });
        self.journal.log.plan(now_ms(), &batch.url, planned.collect());
        self.pace.sent(batch.letters.len());
        self.planned = Some(batch);
        self.stage = Stage::Writing(self.journal.begin_commit());
    }

    async fn event(&mut self, interrupt: impl Future<Output = std::io::Result<u8>>) -> Event {
        let prefetch = self.prefetch();
        let seeks_returned = self.is_limit_reached() && self.is_repeated;
        let wants = self.accepted < self.limit() || self.seeks_undeleted() || seeks_returned;
        let looks = self.look == Looking::On && self.batches.len() < prefetch && wants;
        let is_idle = matches!(self.stage, Stage::Idle);
        let wait = self.wait();
        tokio::select! {
            biased;
            status = interrupt => Event::Interrupted(status),
            reason = self.log.until_stopped() => Event::Aborted(reason),
            event = self.stage.event(), if !is_idle => event,
            Some(deleted) = self.deletes.join_next() => {
                Event::Deleted(deleted.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
            }
            look = self.letters.look(), if looks => Event::Looked(look),
            () = tokio::time::sleep(wait), if is_idle => Event::Waited,
        }
    }

    fn prefetch(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating")]
        let of_rate = self.bounds.rate.map_or(PREFETCH, |rate| (rate * PREFETCH_SECS) as usize);
        of_rate.clamp(MAX_BATCH_ENTRIES, PREFETCH)
    }

    /// Returns the milliseconds until the next search for sent letters in the DLQ, if any were sent.
    fn returned_ms(&self) -> Option<u64> {
        // The canary searches for the first letters, unless no further letters follow them.
        let is_canary = self.first.is_some() && !self.is_limit_reached();
        let is_due = self.sent_since && !is_canary && self.letters.settler().is_some();
        is_due.then(|| millis(RETURNED_EVERY.saturating_sub(self.looked_at.elapsed())))
    }

    /// Returns the time until something can be done without an event.
    fn wait(&self) -> Duration {
        if self.batches.len() > 0 {
            let wait = self.pace.wait();
            let wait = if wait.is_zero() { LONGEST_WAIT } else { wait };
            let returned = self.returned_ms().filter(|_| self.may_look_again());
            return returned.map_or(wait, |returned| wait.min(Duration::from_millis(returned.max(1))));
        }
        if self.awaits_outcomes() {
            return self.first.as_ref().map_or(LONGEST_WAIT, canary::wait);
        }
        let hidden = self.hidden_ms();
        if self.look == Looking::Over && hidden > 0 { Duration::from_millis(hidden) } else { LONGEST_WAIT }
    }

    async fn handle(&mut self, event: Event) -> Result<(), ExitError> {
        match event {
            Event::Interrupted(status) => self.end = Some(End::Interrupted(status?)),
            Event::Aborted(reason) => self.end = Some(End::Aborted(reason)),
            Event::Looked(look) => match look? {
                Look::Letters(letters) => {
                    self.fruitless_looks = 0;
                    self.take(letters).await?;
                }
                Look::RoundOver => self.look = Looking::RoundOver,
                Look::Over => {
                    (self.look, self.looked_at, self.is_repeated) = (Looking::Over, now(), false);
                    self.fruitless_looks += 1;
                }
            },
            Event::Written(written) => self.written(written)?,
            Event::Answered(answer) => {
                self.answered(answer).await?;
                self.sent_since = true;
                self.log.report(counts(self.journal.log.state(), &self.decider.tally));
            }
            Event::Deleted(deleted) => self.deleted(deleted)?,
            Event::Waited => {
                if self.awaits_outcomes() && self.batches.len() == 0 && self.deletes.is_empty() {
                    self.check_first().await?;
                } else if self.look == Looking::Over && self.batches.len() == 0 {
                    (self.bounds.hidden_until, self.hidden_until) = (0, 0);
                    self.look_again();
                }
            }
        }
        Ok(())
    }

    /// Finishes the running operations. Starts only operations that this needs.
    async fn drain(&mut self) -> Result<(), ExitError> {
        let mut result = Ok(());
        let mut note = |ended: Result<(), ExitError>| {
            if result.is_ok() {
                result = ended;
            }
        };
        while !matches!(self.stage, Stage::Idle) {
            let event = self.stage.event().await;
            // A plan that is on disk by now must be sent; otherwise its batch would be in doubt.
            note(self.handle(event).await);
        }
        match self.journal.commit().await {
            Ok(permitted) => self.permit(permitted),
            Err(error) => note(Err(error)),
        }
        if self.journal.is_broken() {
            // The file does not record which letters were sent: a resumed replay would send them again.
            let state = self.journal.log.state().clone();
            self.delete_sent(&state);
        }
        while let Some(deleted) = self.deletes.join_next().await {
            let deleted = deleted.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            note(self.deleted(deleted));
        }
        let waiting = self.batches.drain().len();
        self.decider.tally.unmatch(waiting as u64);
        result
    }
}

fn stopped(why: &str) -> Record {
    Record::Stopped { at: now_ms(), why: why.to_owned() }
}

fn now() -> Instant {
    Instant::now()
}
