//! A host on virtual time. It carries out nothing by itself: it records the effects, and answers when the scenario decides.
//!
//! Messages are written as `group/id*count`, where the group and the receive count may be left out: `a`, `g/a`, `a*3`.
//! The first receipt of `a` is `a#1`, the second `a#2`.

mod store_answers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{
    Call, CallError, Claim, ClaimStep, DeadLetterPath, DeliveryId, Disposition, Effect, Ending, Jitter,
    JitterMode, JobResult, Ledger, LedgerEvent, Limits, NextJob, NextJobs, Outcome, OutcomeCache, Pause,
    PauseReason, Permit, Policy, PriorOutcome, Probe, Receive, ReceiveFailure, Replies, RunReport,
    SlotMember,
};
use drumline::message::Message;

use crate::words::{words_of_call, words_of_note};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A standard queue with a DLQ, a lease of 30 s, and delays that are not spread.
pub(crate) fn standard() -> Policy {
    let mut policy = Policy::new(LEASE);
    policy.retry = policy.retry.with_jitter(JitterMode::None);
    policy
}

pub(crate) fn fifo() -> Policy {
    Policy { fifo: true, ..standard() }
}

pub(crate) fn with_slots(slots: usize, policy: Policy) -> Policy {
    Policy { concurrency: NonZeroUsize::new(slots).unwrap(), ..policy }
}

pub(crate) fn with_dlq(dead_letter: DeadLetterPath, policy: Policy) -> Policy {
    Policy { dead_letter, ..policy }
}

pub(crate) const DONE: Ending = Ending::Done;

pub(crate) fn retry() -> Ending {
    Ending::RetryAsked { after: None, reason: "later".into() }
}

pub(crate) fn retry_after(after: Duration) -> Ending {
    Ending::RetryAsked { after: Some(after), reason: "later".into() }
}

pub(crate) fn rejected() -> Ending {
    Ending::Rejected { reason: "why".into() }
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn failed() -> Result<(), CallError> {
    Err(CallError::Failed("throttled".into()))
}

pub(crate) fn refused() -> Result<(), CallError> {
    Err(CallError::Refused("access denied".into()))
}

pub(crate) fn gone() -> Result<(), CallError> {
    Err(CallError::Gone("not in flight".into()))
}

#[allow(clippy::disallowed_methods)]
fn some_instant() -> Instant {
    Instant::now()
}

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) now: Instant,
    born: Instant,
    emitted: Vec<String>,
    learned: Vec<(String, PriorOutcome)>,
    finished: Vec<(String, Disposition)>,
    finishes: HashSet<DeliveryId>,
    open: VecDeque<Receive>,
    in_flight: VecDeque<Call>,
    runs: HashMap<String, VecDeque<DeliveryId>>,
    receipts: HashMap<String, u32>,
    names: HashMap<DeliveryId, String>,
    renewals: VecDeque<(DeliveryId, Arc<Claim>)>,
    marks: VecDeque<DeliveryId>,
    releases: VecDeque<(DeliveryId, Arc<Claim>)>,
    limits: Option<Limits>,
    /// The permits of runs.
    permits: HashMap<DeliveryId, Permit>,
    /// The claim length of the last run that was started.
    pub(crate) claim_length: Duration,
    pub(crate) attempt: u32,
    agreeable: bool,
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        Self::recalling(policy, OutcomeCache::default())
    }

    /// A process that is no longer careful, and has done some jobs, so that its receives are as large as they can be.
    pub(crate) fn recalling(policy: Policy, prior: OutcomeCache) -> Self {
        let mut world = Self::start(policy, prior);
        for _ in 0..3 {
            let Some(receive) = world.open.pop_front() else { break };
            world.wait(secs(20));
            world.lands(receive, &[]);
        }
        for earlier in ["earlier 1", "earlier 2", "earlier 3", "earlier 4"] {
            let Some(receive) = world.open.pop_front() else { break };
            world.lands(receive, &[earlier]);
            world.ends(earlier, DONE);
            if !world.in_flight.is_empty() {
                world.confirm();
            }
        }
        world.emitted.clear();
        world.learned.clear();
        world.finished.clear();
        world.born = world.now;
        world
    }

    /// A process that has just started.
    pub(crate) fn fresh(policy: Policy) -> Self {
        Self::start(policy, OutcomeCache::default())
    }

    /// A process that has just started, and whose queue shares slots with others.
    pub(crate) fn in_pool(policy: Policy, member: SlotMember) -> Self {
        let mut ledger = Ledger::new(policy).unwrap();
        ledger.join_pool(member);
        Self::of(ledger)
    }

    fn start(policy: Policy, prior: OutcomeCache) -> Self {
        Self::of(Ledger::recalling(policy, prior).unwrap())
    }

    fn of(ledger: Ledger) -> Self {
        let now = some_instant();
        let mut world = Self {
            ledger,
            now,
            born: now,
            emitted: Vec::new(),
            learned: Vec::new(),
            finished: Vec::new(),
            finishes: HashSet::new(),
            open: VecDeque::new(),
            in_flight: VecDeque::new(),
            runs: HashMap::new(),
            receipts: HashMap::new(),
            names: HashMap::new(),
            renewals: VecDeque::new(),
            marks: VecDeque::new(),
            releases: VecDeque::new(),
            limits: None,
            permits: HashMap::new(),
            claim_length: Duration::ZERO,
            attempt: 0,
            agreeable: false,
        };
        world.act();
        world
    }

    /// From now on every call is answered with success at once.
    pub(crate) fn agrees(&mut self) {
        self.agreeable = true;
        while !self.in_flight.is_empty() {
            self.confirm();
        }
    }

    /// It uses the slots that the other queues have left.
    pub(crate) fn turns(&mut self) {
        self.act();
    }

    /// The names of the messages that run, in their order.
    pub(crate) fn running(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.runs.iter().filter(|(_, runs)| !runs.is_empty()).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The oldest open receive brings these messages.
    #[track_caller]
    pub(crate) fn receives<const N: usize>(&mut self, messages: [&str; N]) {
        let receive = self.open.pop_front().expect("a receive is open");
        self.lands(receive, &messages);
    }

    /// This receive returns these messages, possibly a second time.
    pub(crate) fn lands(&mut self, receive: Receive, messages: &[&str]) {
        let messages = messages.iter().map(|text| self.message(text)).collect();
        self.ledger.received(self.now, receive.id, messages);
        self.act();
    }

    #[track_caller]
    pub(crate) fn receive_fails(&mut self) {
        let receive = self.open.pop_front().expect("a receive is open");
        let (error, jitter) = ("no route".into(), Jitter::new(u32::MAX));
        self.ledger.receive_failed(self.now, receive.id, ReceiveFailure::Unreachable, error, jitter);
        self.act();
    }

    /// Removes the oldest open receive, to complete it later or never.
    #[track_caller]
    pub(crate) fn take_receive(&mut self) -> Receive {
        self.open.pop_front().expect("a receive is open")
    }

    /// The number of messages that each open receive requests.
    pub(crate) fn asked_for(&self) -> Vec<usize> {
        self.open.iter().map(|receive| receive.max).collect()
    }

    /// Messages arrive without a receive.
    pub(crate) fn is_handed<const N: usize>(&mut self, messages: [&str; N]) {
        let messages = messages.iter().map(|text| self.message(text)).collect();
        self.ledger.deliver(self.now, messages);
        self.act();
    }

    /// The oldest run of this message ends.
    #[track_caller]
    pub(crate) fn ends(&mut self, name: &str, ending: Ending) {
        self.ends_as(name, ending, None);
    }

    #[track_caller]
    pub(crate) fn ends_as(&mut self, name: &str, ending: Ending, job_type: Option<&str>) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        let report = RunReport::new(ending, job_type.map(Into::into));
        self.reports(id, report);
    }

    /// The oldest run of this message is reported to end twice.
    #[track_caller]
    pub(crate) fn ends_twice(&mut self, name: &str, ending: &Ending) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        for _ in 0..2 {
            self.reports(id, RunReport::new(ending.clone(), None));
        }
    }

    /// The payload of the run of this message has been opened.
    #[track_caller]
    pub(crate) fn is_opened(&mut self, name: &str) {
        let id = *self.runs[name].front().expect("it runs");
        self.ledger.opened(self.now, id);
        self.act();
    }

    /// The type of the run of this message becomes known.
    #[track_caller]
    pub(crate) fn is_of_type(&mut self, name: &str, job_type: &str) {
        let id = *self.runs[name].front().expect("it runs");
        self.ledger.set_job_type(id, job_type);
        self.act();
    }

    /// The oldest run of this message succeeds, with a result.
    #[track_caller]
    pub(crate) fn succeeds_with(&mut self, name: &str, result: &str) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        let result = serde_json::value::RawValue::from_string(result.to_owned()).unwrap();
        self.reports(id, RunReport { result: Some(JobResult(result.into())), ..RunReport::new(DONE, None) });
    }

    /// The oldest run of this message succeeds, with a result and a next job.
    #[track_caller]
    pub(crate) fn succeeds_with_next(&mut self, name: &str, result: Option<&str>) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
        let result = result.map(|result| JobResult(raw(result).into()));
        let next = Some(NextJobs(vec![NextJob::new("next-1", "a.b", "{}")].into()));
        self.reports(id, RunReport { result, next, ..RunReport::new(DONE, None) });
    }

    /// The jobs are limited from now on.
    pub(crate) fn is_limited_by(&mut self, limits: &Limits) {
        let limits = limits.for_queue();
        self.ledger.set_limits(limits.clone());
        self.limits = Some(limits);
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.limits.as_ref().expect("jobs are limited")
    }

    /// The oldest run of this message requests its permit, as a job of this type. Returns true if it runs on.
    #[track_caller]
    pub(crate) fn asks(&mut self, name: &str, job_type: &str) -> bool {
        let id = *self.runs.get(name).and_then(VecDeque::front).expect("it runs");
        let limits = self.limits().clone();
        let (waited_for, payload) = (self.permits.remove(&id), serde_json::value::RawValue::NULL);
        match limits.admit(
            self.now,
            &"jobs".into(),
            &job_type.into(),
            &Message::default(),
            payload,
            waited_for,
        ) {
            Ok(permit) => {
                self.permits.extend(permit.map(|permit| (id, permit)));
                true
            }
            Err(limited) => {
                self.runs.get_mut(name).and_then(VecDeque::pop_front);
                let ending = Ending::Limited {
                    remaining: Duration::ZERO,
                    limit: limited.1.reason,
                    reason: "limited".into(),
                };
                let report = RunReport::new(ending, Some(job_type.into()));
                self.reports(id, RunReport { limited: Some(Box::new(limited)), ..report });
                false
            }
        }
    }

    /// The oldest run of this message ends with this report.
    #[track_caller]
    pub(crate) fn ends_with(&mut self, name: &str, report: RunReport) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        self.reports(id, report);
    }

    fn reports(&mut self, id: DeliveryId, mut report: RunReport) {
        report.permit = report.permit.or(self.permits.remove(&id));
        self.ledger.ended(self.now, id, report, Jitter::new(u32::MAX));
        self.act();
    }

    /// The oldest call in flight is confirmed.
    #[track_caller]
    pub(crate) fn confirm(&mut self) {
        let entries = self.in_flight.front().expect("a call is in flight").action.deliveries().len();
        self.answer(vec![Ok(()); entries]);
    }

    /// The oldest call in flight gets these replies.
    #[track_caller]
    pub(crate) fn answer(&mut self, replies: Replies) {
        let call = self.take_call();
        self.answer_call(&call, replies);
    }

    pub(crate) fn answer_call(&mut self, call: &Call, replies: Replies) {
        self.ledger.called(self.now, call.id, replies, Jitter::new(u32::MAX));
        self.act();
    }

    /// Removes the oldest call in flight, to be answered later or never.
    #[track_caller]
    pub(crate) fn take_call(&mut self) -> Call {
        self.in_flight.pop_front().expect("a call is in flight")
    }

    /// The calls in flight are never answered.
    pub(crate) fn answers_nothing(&mut self) {
        self.in_flight.clear();
    }

    pub(crate) fn drain(&mut self, grace: Duration) {
        self.ledger.drain(self.now, grace);
        self.act();
    }

    pub(crate) fn pauses(&mut self, reason: PauseReason) {
        let probe = if reason == PauseReason::Operator { Probe::Operator } else { Probe::Host };
        self.ledger.pause(self.now, Pause { reason, probe });
        self.act();
    }

    pub(crate) fn resumes(&mut self, reason: PauseReason) {
        self.ledger.resume(self.now, reason);
        self.act();
    }

    pub(crate) fn probes(&mut self) {
        self.ledger.probe();
        self.act();
    }

    pub(crate) fn drain_until(&mut self, end: Duration) {
        self.ledger.drain_until(self.now, Duration::ZERO, self.now + end);
        self.act();
    }

    pub(crate) fn learns_lease(&mut self, lease: Duration) {
        self.ledger.set_lease(lease);
        self.act();
    }

    /// Time passes; everything that becomes due in it happens when it is due.
    #[track_caller]
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.ledger.timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "the ledger asks to be called in the past, over and over");
            self.now = at;
            self.act();
        }
        self.now = end;
        self.act();
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.born
    }

    /// The effects since the last call.
    pub(crate) fn emitted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.emitted)
    }

    /// The prior outcomes that a host must remember.
    pub(crate) fn learned(&self) -> Vec<(&str, PriorOutcome)> {
        self.learned.iter().map(|(id, prior)| (id.as_str(), prior.clone())).collect()
    }

    /// The dispositions since the last call.
    pub(crate) fn finished(&mut self) -> Vec<(String, Disposition)> {
        std::mem::take(&mut self.finished)
    }

    /// Forgets all effects so far.
    pub(crate) fn forget(&mut self) {
        self.emitted.clear();
    }

    pub(crate) fn message(&mut self, text: &str) -> Message {
        let (group, rest) = text.split_once('/').map_or((None, text), |(group, rest)| (Some(group), rest));
        let (id, count) = rest.split_once('*').map_or((rest, 1), |(id, count)| (id, count.parse().unwrap()));
        let receipt = self.receipts.entry(id.to_owned()).or_default();
        *receipt += 1;
        Message {
            id: id.into(),
            receipt: format!("{id}#{receipt}"),
            receive_count: count,
            group: group.map(str::to_owned),
            ..Message::default()
        }
    }

    fn act(&mut self) {
        self.ledger.tick(self.now);
        while let Some(effect) = self.ledger.next_effect() {
            if let Some(line) = self.perform(effect) {
                self.emitted.push(line);
            }
            if self.agreeable && !self.in_flight.is_empty() {
                self.confirm();
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<String> {
        match effect {
            Effect::Start(start) => {
                let name = start.message.id.to_string();
                self.runs.entry(name.clone()).or_default().push_back(start.delivery);
                self.names.insert(start.delivery, name.clone());
                self.claim_length = start.claim_length;
                self.attempt = start.attempt.get();
                self.permits.extend(start.permit.map(|permit| (start.delivery, permit)));
                Some(format!("start {name}"))
            }
            Effect::Cancel(id, reason) => Some(format!("cancel {} {reason:?}", self.names[&id])),
            Effect::Abort(id) => Some(format!("abort {}", self.names[&id])),
            Effect::Claim(id, step) => Some(match step {
                ClaimStep::Ask(length) => format!("ask for the claim of {} for {length:?}", self.names[&id]),
                ClaimStep::RunUnclaimed => format!("run {} without a claim", self.names[&id]),
                ClaimStep::GiveUp => format!("end {} without a claim", self.names[&id]),
                ClaimStep::Begin(_) => format!("begin {}", self.names[&id]),
            }),
            Effect::RenewClaim { delivery, claim, length } => {
                assert_eq!(**claim.identity.id(), *self.names[&delivery]);
                let line = format!("renew the claim of {} for {length:?}", claim.identity.id());
                self.renewals.push_back((delivery, claim));
                Some(line)
            }
            Effect::Mark { delivery, claim, result, next } => {
                self.marks.push_back(delivery);
                assert_eq!(**claim.identity.id(), *self.names[&delivery]);
                let result = result.map(|result| format!(" with {}", result.0.get())).unwrap_or_default();
                let next = next.map(|next| format!(", {} follow", next.0.len())).unwrap_or_default();
                Some(format!("mark {} as done{result}{next}", claim.identity.id()))
            }
            Effect::ReleaseClaim { delivery, claim, how } => {
                assert_eq!(**claim.identity.id(), *self.names[&delivery]);
                let spared = if how.count_attempt { "" } else { ", uncounted" };
                let failure_reason = how.failure_reason.map(|why| format!(": {why}")).unwrap_or_default();
                let line = format!("release the claim of {}{spared}{failure_reason}", claim.identity.id());
                self.releases.push_back((delivery, claim));
                Some(line)
            }
            Effect::Receive(receive) => {
                self.open.push_back(receive);
                None
            }
            Effect::Call(call) => {
                let line = words_of_call(&call.action);
                self.in_flight.push_back(call);
                Some(line)
            }
            Effect::Finished { delivery, message, disposition } => {
                let runs = self.runs.values().flatten().any(|run| *run == delivery);
                assert!(!runs, "{} is finished before its run has ended", message.id);
                assert!(self.finishes.insert(delivery), "{} is finished once", message.id);
                self.finished.push((message.id.to_string(), disposition));
                None
            }
            Effect::Remember { message, prior } => {
                self.learned.push((message.id.to_string(), prior));
                None
            }
            Effect::Event(note) => {
                if let LedgerEvent::Decided { delivery, outcome, message, .. } = &note {
                    let copied = self.ledger.policy().dead_letter == DeadLetterPath::Copy;
                    let later = copied && matches!(outcome, Outcome::DeadLetter(_));
                    assert_eq!(self.finishes.contains(delivery), !later, "{}", message.id);
                }
                words_of_note(&note)
            }
        }
    }
}
