//! A host on virtual time, between a ledger and the model of SQS, to which a script happens.

mod steps;

use std::time::{Duration, Instant};

use drumline::{
    Action, Call, CallError, CancelReason, DeliveryId, DrainSummary, Effect, Ending, Jitter, Ledger, Note,
    Outcome, Policy, Receive, Replies, Report,
};

use crate::script::Setting;
use crate::sqs::{Sqs, index};
use crate::watch::Watch;

/// Hosts give every call up in this time: what was not answered by then never is.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a receive waits for messages.
pub(crate) const WAIT_TIME: Duration = Duration::from_secs(20);

/// Longer than the 20 s of a receive and the 15 s after which it counts as hanging.
const OVERDUE: Duration = Duration::from_secs(35);

/// What every drain gets beyond its grace.
pub(crate) const LAST_SECONDS: Duration = Duration::from_secs(3);

struct Run {
    delivery: DeliveryId,
    message: usize,
    cancelled: Option<CancelReason>,
    aborted: bool,
    /// Every fourth message's handler blocks its thread, and cannot be dropped.
    blocks: bool,
}

/// What the store of claims was asked.
struct Asked {
    delivery: DeliveryId,
    at: Instant,
    /// For how long, where it is a renewal.
    renews: Option<Duration>,
}

struct InAir {
    call: Call,
    asked_at: Instant,
    /// What SQS has answered, where the call has reached it.
    replies: Option<Replies>,
}

pub(crate) struct Host {
    pub(crate) ledger: Ledger,
    pub(crate) sqs: Sqs,
    pub(crate) watch: Watch,
    pub(crate) now: Instant,
    on_lambda: bool,
    runs: Vec<Run>,
    in_air: Vec<InAir>,
    asked: Vec<Asked>,
    answered: Vec<(Call, Replies)>,
    open: Vec<(Receive, Instant)>,
    brought_too_late: usize,
    draws: u32,
    /// Drops every note, as a host without telemetry does.
    pub(crate) drops_notes: bool,
    /// Every effect but the notes, if they are compared.
    pub(crate) trace: Option<Vec<String>>,
}

#[allow(clippy::disallowed_methods)]
pub(crate) fn some_instant() -> Instant {
    Instant::now()
}

impl Host {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self::at(some_instant(), setting)
    }

    /// As [`new`](Self::new), on a clock that starts at `now`.
    pub(crate) fn at(now: Instant, setting: &Setting) -> Self {
        let policy = setting.policy();
        let mut host = Self {
            sqs: Sqs::new(setting.fifo, policy.lease, setting.max_receives()),
            watch: Watch::new(policy.clone()),
            ledger: Ledger::new(policy).unwrap(),
            now,
            on_lambda: setting.on_lambda,
            runs: Vec::new(),
            in_air: Vec::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            open: Vec::new(),
            brought_too_late: 0,
            draws: 1,
            drops_notes: false,
            trace: None,
        };
        host.act();
        host
    }

    /// A new process takes over: it knows nothing of the old one, whose calls and receives are gone.
    pub(crate) fn restart(&mut self, policy: &Policy) {
        self.watch = Watch::new(policy.clone());
        self.ledger = Ledger::new(policy.clone()).unwrap();
        self.runs.clear();
        self.in_air.clear();
        self.asked.clear();
        self.answered.clear();
        self.open.clear();
        self.brought_too_late = 0;
        self.act();
    }

    fn end(&mut self, pick: usize, ending: Ending, job_type: Option<&str>) {
        let run = self.runs.remove(pick);
        self.watch.ends(run.message, matches!(ending, Ending::Done | Ending::DoneBefore(_)));
        let jitter = self.jitter();
        let has_claim = !matches!(ending, Ending::Done | Ending::DoneBefore(_) | Ending::Held { .. });
        let claimed = has_claim && self.ledger.policy().claims;
        if claimed {
            self.watch.surrenders(run.delivery);
        }
        let report = Report { claimed, ..Report::new(ending, job_type.map(Into::into)) };
        self.ledger.ended(self.now, run.delivery, report, jitter);
        self.act();
    }

    /// A call reaches SQS. Two bits of `fates` for each entry: mostly it is done and said so; one in four fails with or
    /// without being done.
    fn arrive(&mut self, position: usize, fates: u16) {
        let InAir { call, replies, .. } = &mut self.in_air[position];
        if replies.is_some() {
            return;
        }
        let (now, sqs) = (self.now, &mut self.sqs);
        let mut entry = 0;
        let mut meets_its_fate = |perform: &mut dyn FnMut(&mut Sqs) -> Result<(), CallError>| {
            let fate = (fates.rotate_right(entry * 2) & 3, fates & 0x4000);
            entry += 1;
            match fate {
                (3, 0) => failed(),
                (3, _) => perform(sqs).and_then(|()| failed()),
                _ => perform(sqs),
            }
        };
        *replies = Some(match &call.action {
            Action::Delete(entries) => entries
                .iter()
                .map(|entry| meets_its_fate(&mut |sqs| sqs.delete(now, &entry.receipt)))
                .collect(),
            Action::ChangeVisibility(entries) => entries
                .iter()
                .map(|entry| {
                    let secs = entry.visibility_secs;
                    meets_its_fate(&mut |sqs| sqs.change_visibility(now, &entry.receipt, secs))
                })
                .collect(),
            Action::DeadLetter { .. } => vec![meets_its_fate(&mut |_| Ok(()))],
        });
    }

    fn answer(&mut self, pick: usize, fates: u16, results: usize) {
        let Some(position) = pick.checked_rem(self.in_air.len()) else { return };
        self.arrive(position, fates);
        let InAir { call, asked_at, replies } = self.in_air.remove(position);
        let mut replies = replies.unwrap();
        replies.truncate(results);
        let results: Vec<bool> = replies.iter().map(Result::is_ok).collect();
        self.watch.answered(&call, asked_at, &results);
        self.answered.push((call.clone(), replies.clone()));
        let jitter = self.jitter();
        self.ledger.called(self.now, call.id, replies, jitter);
        self.act();
    }

    pub(crate) fn drain(&mut self, grace: Duration) {
        self.watch.drains = true;
        self.ledger.drain(self.now, grace);
        self.act();
    }

    /// Time passes; whatever is due on the way happens when it is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.ledger.timeout().filter(|at| *at <= end) {
            self.now = at;
            self.act();
        }
        self.now = end;
        self.in_air.retain(|call| self.now <= call.asked_at + CALL_TIMEOUT);
        self.act();
    }

    /// All goes well for one round; tells whether there was anything to do.
    pub(crate) fn obliges(&mut self) -> bool {
        if self.on_lambda {
            self.land(0, false);
        }
        for _ in 0..self.open.len() {
            // An empty queue answers when the wait time is over.
            let is_over = |(_, since): &(Receive, Instant)| *since + WAIT_TIME <= self.now;
            let has_message = self.sqs.has_message(self.now);
            if let Some(pick) = self.open.iter().position(|open| has_message || is_over(open)) {
                self.land(pick, false);
            }
        }
        let busy = !self.runs.is_empty() || !self.in_air.is_empty() || !self.asked.is_empty();
        while !self.runs.is_empty() || !self.in_air.is_empty() || !self.asked.is_empty() {
            while !self.asked.is_empty() {
                self.answer_claim(0, 0);
            }
            while !self.runs.is_empty() {
                self.end(0, Ending::Done, None);
            }
            while !self.in_air.is_empty() {
                self.answer(0, 0, usize::MAX);
            }
        }
        busy
    }

    /// All goes well but SQS, which does nothing that it is asked to. Returns the deliveries of the deletes that failed, of
    /// those that were asked for since then: of an older one the delivery may have left.
    pub(crate) fn fails_every_call(&mut self, since: Instant) -> Vec<DeliveryId> {
        for _ in 0..self.open.len() {
            self.land(0, false);
        }
        while !self.asked.is_empty() {
            self.answer_claim(0, 0);
        }
        while !self.runs.is_empty() {
            self.end(0, Ending::Done, None);
        }
        let mut deletes = Vec::new();
        while let Some(InAir { call, asked_at, replies }) = self.in_air.first_mut() {
            let deliveries = call.action.deliveries();
            // What has reached SQS before is answered as it was.
            if replies.is_none() && *asked_at > since && matches!(call.action, Action::Delete(_)) {
                deletes.extend(deliveries.clone());
            }
            replies.get_or_insert_with(|| vec![failed(); deliveries.len()]);
            self.answer(0, 0, usize::MAX);
        }
        deletes
    }

    /// Every run ends; no call is ever answered.
    pub(crate) fn falls_silent(&mut self) {
        self.in_air.clear();
        self.asked.clear();
        while !self.runs.is_empty() {
            self.end(0, Ending::Done, None);
        }
    }

    pub(crate) fn drained(&self) -> Option<DrainSummary> {
        self.ledger.drained()
    }

    fn act(&mut self) {
        self.ledger.tick(self.now);
        while let Some(effect) = self.ledger.next_effect() {
            self.perform(effect);
        }
        if let Some(pick) = self.runs.iter().position(|run| run.aborted && !run.blocks) {
            return self.end(pick, Ending::Interrupted, None);
        }
        self.looks_right();
    }

    fn looks_right(&self) {
        let places = self.ledger.policy().concurrency.get();
        assert!(self.ledger.timeout().is_none_or(|at| at > self.now), "the timeout lies ahead");
        assert_eq!(self.ledger.running(), self.runs.len());
        assert!(self.ledger.pause_reasons().eq(self.watch.pauses.keys().copied()));
        for run in self.runs.iter().filter(|run| run.cancelled.is_none()) {
            self.watch.goes_on(run.delivery, self.now);
        }
        if self.drops_notes {
            return;
        }
        self.watch.all_finished();
        if !self.on_lambda {
            assert!(self.watch.undecided <= places, "what has no place goes back");
            let in_hand = self.ledger.in_hand();
            assert!(in_hand <= 2 * places + self.brought_too_late, "{in_hand} in hand, {places} places");
        }
        if self.watch.drains {
            assert_eq!(self.ledger.demand(), 0, "nothing is asked for during a drain");
            let waiting = self.watch.undecided - self.runs.len();
            assert!(
                waiting == 0 || self.ledger.in_hand() > waiting,
                "what waits during a drain waits for a neighbour"
            );
        }
        let summary = self.ledger.drained();
        assert!(summary.is_none() || self.ledger.timeout().is_none(), "what is over needs no timeout");
    }

    fn perform(&mut self, effect: Effect) {
        if let Some(trace) = self.trace.as_mut().filter(|_| !matches!(effect, Effect::Note(_))) {
            trace.push(format!("{effect:?}"));
        }
        match effect {
            Effect::Start(start) => {
                self.watch.starts(&start, self.now, &self.sqs);
                let message = index(&start.message.id);
                let (delivery, blocks) = (start.delivery, message % 4 == 3);
                self.runs.push(Run { delivery, message, cancelled: None, aborted: false, blocks });
            }
            Effect::Cancel(delivery, reason) => {
                let run = self.runs.iter_mut().find(|run| run.delivery == delivery).expect("it runs");
                assert!(run.cancelled.replace(reason).is_none(), "cancelled once");
            }
            Effect::Abort(delivery) => {
                let run = self.runs.iter_mut().find(|run| run.delivery == delivery).expect("it runs");
                assert!(run.cancelled.is_some() && !run.aborted, "asked first, and aborted once");
                run.aborted = true;
            }
            Effect::RenewClaim(delivery, length) => {
                assert!(self.runs.iter().any(|run| run.delivery == delivery), "only a run has a claim");
                self.asked.push(Asked { delivery, at: self.now, renews: Some(length) });
            }
            Effect::Surrender(delivery, _) => {
                assert!(
                    self.runs.iter().all(|run| run.delivery != delivery),
                    "no run is left without its claim"
                );
                self.asked.push(Asked { delivery, at: self.now, renews: None });
            }
            Effect::Receive(receive) => {
                assert!(!self.watch.drains, "nothing is received during a drain");
                assert!(self.watch.pauses.is_empty(), "nothing is received during a pause");
                self.open.push((receive, self.now));
                let lively = self.open.iter().filter(|(_, since)| *since + OVERDUE > self.now);
                let asked_for: usize = lively.map(|(receive, _)| receive.max).sum();
                let places = self.ledger.policy().concurrency.get();
                assert!(
                    self.drops_notes || self.watch.undecided + asked_for <= places,
                    "a place for all that is asked for"
                );
                assert!((1..=10).contains(&receive.max));
            }
            Effect::Call(call) => {
                self.watch.calls(&call, self.now);
                self.in_air.push(InAir { call, asked_at: self.now, replies: None });
            }
            Effect::Note(note) => {
                if !self.drops_notes {
                    self.watch.notes(&note);
                    if let Some(message) = self.released_by_a_pause(&note) {
                        self.watch.is_released(message, self.now);
                    }
                }
            }
            Effect::Finished { delivery, message, disposition } => {
                assert!(self.runs.iter().all(|run| run.delivery != delivery), "finished while it runs");
                self.watch.finishes(delivery, &message, disposition);
                if self.on_lambda && disposition.may_be_deleted() {
                    self.sqs.delete_by_response(index(&message.id));
                }
            }
            Effect::Remember { message, past } => self.watch.remembers(&message, &past),
        }
    }

    /// The message that goes back without a run, if neither a drain, nor its message group, nor the lack of a place can be
    /// the cause.
    fn released_by_a_pause(&self, note: &Note) -> Option<usize> {
        let other_causes = self.watch.drains || self.ledger.policy().fifo || self.brought_too_late > 0;
        match note {
            Note::Decided { message, outcome: Outcome::Release, run: None, .. } if !other_causes => {
                Some(index(&message.id))
            }
            _ => None,
        }
    }

    /// Spread over the range, and the same in every run of a script.
    fn jitter(&mut self) -> Jitter {
        self.draws = self.draws.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        Jitter::new(self.draws)
    }

    pub(crate) fn message_here(&self) -> impl Iterator<Item = usize> + '_ {
        0..self.sqs.messages.len()
    }
}

fn take<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    let position = pick.checked_rem(from.len())?;
    Some(from.remove(position))
}

fn failed() -> Result<(), CallError> {
    Err(CallError::Failed("throttled".to_owned()))
}
