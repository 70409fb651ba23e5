//! The decision about a letter: send it, leave it, delete it because it was sent before, or ignore it.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use drumline::Router;
use drumline::message::Message;
use drumline::run::Precheck;
use drumline_consumer::ExitError;
use drumline_dlq::filter::Filter;
use drumline_dlq::journal::{Left, State};
use drumline_dlq::letter::ORIGINAL_ATTRIBUTE;
use drumline_dlq::letter_id::LetterId;
use drumline_producer::Outgoing;
use drumline_runtime::Settings;
use drumline_runtime::aws::is_fifo;

use super::changes::Changes;
use super::done::{Consequence, DoneJobs, is_changed};
use super::order::Order;
use super::origins::{Origins, Target};
use super::outgoing::{outgoing, precheck};
use super::source::Learned;
use crate::dlq::dead_letter::DeadLetter;
use crate::dlq::done_jobs::forget;
use crate::dlq::hold::Held;
use crate::dlq::queue::DeadLetterQueue;
use crate::dlq::reasons::ReasonLookup;

/// The number of example texts that are kept for each reason.
const EXAMPLES: usize = 3;

/// The decision about a letter.
#[derive(Debug)]
pub(super) enum Decision {
    /// Sends the letter to the queue with this URL. `done` contains the keys to forget first, if the job is done and should run
    /// again.
    Send { url: Arc<str>, is_fifo: bool, outgoing: Outgoing, done: Vec<String> },
    /// The letter matches and stays.
    Leave(Left),
    /// The letter does not match.
    Pass,
    /// The letter was sent before, and is deleted.
    Delete,
    /// The letter is a message of this action that died again. The value is its id, or the id of the message of which it is a
    /// copy.
    Returned(String),
}

/// Decides about letters.
pub(super) struct Decider<'a> {
    pub(super) queue: &'a DeadLetterQueue,
    pub(super) settings: &'a Settings,
    pub(super) filter: Filter,
    pub(super) changes: Changes,
    pub(super) reasons: ReasonLookup,
    /// The export from which the letters come. It contains the reasons why they died.
    pub(super) export: Option<PathBuf>,
    pub(super) learned: Learned,
    pub(super) origins: Origins,
    /// The FIFO letters that stay, and therefore keep back the letters behind them.
    pub(super) order: Order,
    pub(super) action: &'a str,
    /// The time from which ages are measured, in milliseconds since the Unix epoch.
    pub(super) started_at: u64,
    /// The handlers that check what they would refuse.
    pub(super) router: Option<&'a Router>,
    /// True if jobs that are done run again.
    pub(super) again: bool,
    /// The keys of done jobs whose records are deleted.
    pub(super) forgotten: HashSet<String>,
    pub(super) tally: Tally,
}

/// Returns the error of a replay that needs a store but has none.
fn silent() -> ExitError {
    ExitError::unavailable("--again: the store does not answer".to_owned())
}

/// The number of letters that match, and the reasons why some of them stay.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) matched: u64,
    pub(super) left: BTreeMap<Left, u64>,
    examples: BTreeMap<Left, Vec<String>>,
    /// The number of letters that no handler could check, by reason.
    pub(super) not_checked: BTreeMap<String, u64>,
    /// The number of letters whose jobs are done and run again.
    pub(super) again: u64,
}

impl Tally {
    /// Counts a letter that stays.
    pub(super) fn leave(&mut self, why: Left, letter: &str, text: &str) {
        *self.left.entry(why).or_default() += 1;
        let examples = self.examples.entry(why).or_default();
        if examples.len() < EXAMPLES {
            examples.push(format!("{letter}: {text}"));
        }
    }

    /// Counts a letter that no handler could check. When there is no room for another reason, it counts under the last one.
    fn not_checked(&mut self, why: String) {
        let is_known = self.not_checked.contains_key(&why);
        let why =
            if is_known || self.not_checked.len() < EXAMPLES { why } else { "other reasons".to_owned() };
        *self.not_checked.entry(why).or_default() += 1;
    }

    /// Begins the count of the sends after the count of the choice. Letters that the choice left are not decided about again.
    fn begin_run(&mut self) {
        self.matched = self.all_left();
        self.again = 0;
        self.not_checked.clear();
    }

    /// Removes letters from the count that will be received again.
    pub(super) fn unmatch(&mut self, letters: u64) {
        self.matched = self.matched.saturating_sub(letters);
    }

    /// Returns the number of letters that match and stay.
    pub(super) fn all_left(&self) -> u64 {
        self.left.values().sum()
    }

    /// Returns examples of letters that stay for this reason.
    pub(super) fn examples(&self, why: Left) -> &[String] {
        self.examples.get(&why).map_or(&[], Vec::as_slice)
    }
}

impl Decider<'_> {
    /// Decides about letters that were received together.
    ///
    /// # Errors
    ///
    /// Returns an error if a letter must be edited, and the edited letter cannot be sent.
    pub(super) async fn decide(
        &mut self,
        held: Vec<Held>,
        state: Option<&State>,
    ) -> Result<Vec<(Held, Decision)>, ExitError> {
        let mut decided = Vec::with_capacity(held.len());
        let mut open = Vec::new();
        for held in held {
            match state.and_then(|state| known(&held.message, state)) {
                Some(decision) => decided.push((held, decision)),
                None => open.push(held),
            }
        }
        let mut letters = Vec::with_capacity(open.len());
        let mut meant = Vec::with_capacity(open.len());
        for held in open {
            let mut letter = self.queue.letter(held.message.clone()).await;
            if let Some((cause, job_type)) = self.learned.remove(&held.id()) {
                letter.learn_from_export(cause, job_type);
            }
            // A letter of an interrupted batch matched then, even if its job has changed since.
            let interrupted_at = state.and_then(|state| state.interrupted_at(held.id()));
            // Histories are looked up only for letters that can match.
            if interrupted_at.is_some() || self.filter.matches_message(letter.letter(), self.started_at) {
                letters.push(letter);
                meant.push(held);
            } else {
                decided.push((held, Decision::Pass));
            }
        }
        let needs_history = self.changes.need_history()
            || letters.iter().any(|letter| self.filter.needs_history_of(letter.letter()));
        if needs_history && self.export.is_none() {
            self.reasons.add(&mut letters).await;
            // Without histories, the filter would choose other letters from here on.
            self.reasons.expect_no_loss()?;
        }
        for (held, letter) in meant.into_iter().zip(letters) {
            if self.changes.edits().is_some_and(|edits| edits.is_full()) {
                decided.push((held, Decision::Pass));
                continue;
            }
            let interrupted_at = state.and_then(|state| state.interrupted_at(held.id()));
            self.edit(&letter).await?;
            let decision = self.judge(&letter, interrupted_at.is_some());
            let decision = self.unless_done(&letter, decision, interrupted_at).await?;
            if let Decision::Leave(why) = decision {
                self.keep_back(&letter, why);
            }
            if let (Decision::Send { .. }, Some(edits)) = (&decision, self.changes.edits()) {
                edits.count();
            }
            decided.push((held, decision));
        }
        Ok(decided)
    }

    /// Begins the run after the letters were counted.
    pub(super) fn begin_run(&mut self) {
        self.tally.begin_run();
        self.order = Order::default();
    }

    /// Keeps back letters behind one that stays. A letter whose job is done does not keep others back.
    fn keep_back(&mut self, letter: &DeadLetter, why: Left) {
        if is_fifo(&self.queue.name) && why != Left::Done {
            let url = self.origins.of(letter.letter()).ok().map(|target| &target.url);
            self.order.stay(url, letter.message());
        }
    }

    /// Leaves a changed letter whose job is done, because its worker would refuse it or run it again; with `--again`, lets it
    /// run again.
    async fn unless_done(
        &mut self,
        letter: &DeadLetter,
        mut decision: Decision,
        interrupted_at: Option<u64>,
    ) -> Result<Decision, ExitError> {
        let Decision::Send { url, outgoing, done, .. } = &mut decision else { return Ok(decision) };
        let Some(histories) = self.reasons.histories() else {
            return if self.again { Err(silent()) } else { Ok(decision) };
        };
        // A worker does not run an unchanged one.
        if !self.again && !is_changed(letter.message(), outgoing) {
            return Ok(decision);
        }
        let sent = (&**url, &*outgoing);
        let found = DoneJobs::find(histories, self.settings, &self.queue.intake, letter.letter(), sent).await;
        let found = match found {
            Ok(found) => found,
            Err(silence) if self.again => return Err(silence.into()),
            Err(silence) => {
                self.reasons.give_up(&silence);
                DoneJobs::default()
            }
        };
        match found.consequence(self.again, interrupted_at) {
            Consequence::Send => Ok(decision),
            Consequence::RunAgain(keys) => {
                *done = keys;
                self.tally.again += 1;
                Ok(decision)
            }
            Consequence::Leave(text) => {
                self.tally.leave(Left::Done, &letter.message().id, text);
                Ok(Decision::Leave(Left::Done))
            }
            Consequence::WasSent => {
                self.tally.unmatch(1);
                Ok(Decision::Delete)
            }
        }
    }

    /// Deletes the records of done jobs under these keys, each once. A job that is running now is not touched, and its message
    /// waits for it.
    pub(super) async fn forget(&mut self, keys: impl Iterator<Item = &String>) -> Result<(), ExitError> {
        let keys: Vec<String> = keys.filter(|key| self.forgotten.insert((*key).clone())).cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        forget(self.reasons.histories().ok_or_else(silent)?, &keys).await.map(drop)
    }

    async fn edit(&mut self, letter: &DeadLetter) -> Result<(), ExitError> {
        let is_meant = self.filter.matches(letter.letter(), self.started_at);
        let is_sent = |target: &Target| !self.order.is_behind(&target.url, letter.message());
        if is_meant && self.changes.are_edited() && self.origins.of(letter.letter()).is_ok_and(is_sent) {
            self.changes.edit(letter.letter(), &self.queue.intake).await?;
        }
        Ok(())
    }

    fn judge(&mut self, letter: &DeadLetter, is_interrupted: bool) -> Decision {
        if !is_interrupted && !self.filter.matches(letter.letter(), self.started_at) {
            return Decision::Pass;
        }
        self.tally.matched += 1;
        let id = &letter.message().id;
        let target = match self.origins.of(letter.letter()) {
            Ok(target) => target,
            Err(why) => {
                self.tally.leave(Left::Origin, id, &why.to_string());
                return Decision::Leave(Left::Origin);
            }
        };
        let (url, is_fifo) = (Arc::clone(&target.url), target.is_fifo);
        if self.order.is_behind(&url, letter.message()) {
            self.tally.leave(Left::BehindOther, id, &Left::BehindOther.to_string());
            return Decision::Leave(Left::BehindOther);
        }
        let intake = &self.queue.intake;
        let fixed = match self.changes.apply(letter.letter(), intake) {
            Ok(fixed) => fixed,
            Err(unfixable) => {
                self.tally.leave(unfixable.why, id, &unfixable.text);
                return Decision::Leave(unfixable.why);
            }
        };
        let outgoing = match outgoing(letter.letter(), &fixed, intake, self.action) {
            Ok(outgoing) => outgoing,
            Err(why) => {
                self.tally.leave(Left::NoRoom, id, &why.to_string());
                return Decision::Leave(Left::NoRoom);
            }
        };
        match self.router.map(|router| precheck(router, letter.letter(), &outgoing, intake)) {
            Some(Precheck::Refused(why)) => {
                self.tally.leave(Left::Refused, id, &why);
                return Decision::Leave(Left::Refused);
            }
            Some(Precheck::NotChecked(why)) => self.tally.not_checked(why),
            Some(Precheck::Accepted) | None => {}
        }
        Decision::Send { url, is_fifo, outgoing, done: Vec::new() }
    }
}

/// Returns the decision about a letter that the journal already contains.
pub(super) fn known(message: &Message, state: &State) -> Option<Decision> {
    let id = LetterId::of(&message.id);
    if state.was_sent(id) {
        return Some(Decision::Delete);
    }
    let mut own = std::iter::once(&*message.id).chain(message.attribute(ORIGINAL_ATTRIBUTE));
    if let Some(id) = own.find(|id| state.is_own(LetterId::of(id))) {
        return Some(Decision::Returned(id.to_owned()));
    }
    (!state.may_send(id)).then_some(Decision::Pass)
}
