//! A queue of jobs with limits, on virtual time: which jobs may run and when, by a naive count, and the number of receives.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use drumline::core::{
    Action, CallError, CrashEvidence, DeliveryId, Effect, Ending, Jitter, Ledger, LedgerEvent, LimitRules,
    Limits, Outcome, Permit, Policy, Rate, RateRule, Receive, ReceiveLimit, RunReport, TypeRules,
};
use drumline::message::Message;
use proptest::prelude::*;
use serde_json::value::RawValue;

use crate::host::some_instant;
use crate::sqs::{Place, Sqs, index};

/// The maximum number of held messages of one class.
const HELD_PER_CLASS: usize = 10;

/// The limited messages in a row after which there are few receives.
const IN_A_ROW: usize = 20;

/// The time that SQS takes to answer.
const ANSWER: Duration = Duration::from_millis(10);

const MAX_RECEIVES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    None,
    /// At most this number at once.
    Concurrency(usize),
    /// At most this number per second, one after the other.
    Rate(u32),
}

/// A queue: its types, and its jobs in the order of their sending, each with its type and its duration.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    limits: Vec<Limit>,
    jobs: Vec<(usize, Duration)>,
    concurrency: usize,
}

pub(crate) fn scene() -> impl Strategy<Value = Scene> {
    let limit = prop_oneof![
        2 => Just(Limit::None),
        3 => (1..4_usize).prop_map(Limit::Concurrency),
        2 => prop_oneof![Just(2), Just(20), Just(200)].prop_map(Limit::Rate),
    ];
    let job = (any::<prop::sample::Index>(), 1..400_u64);
    (prop::collection::vec(limit, 1..4), prop::collection::vec(job, 1..120), 1..40_usize).prop_map(
        |(limits, jobs, concurrency)| {
            let job = |(pick, millis): (prop::sample::Index, u64)| {
                (pick.index(limits.len()), Duration::from_millis(millis))
            };
            Scene { jobs: jobs.into_iter().map(job).collect(), limits, concurrency }
        },
    )
}

/// The events so far.
pub(crate) struct Seen {
    pub(crate) held: usize,
    pub(crate) returned: usize,
    pub(crate) returned_again: usize,
}

struct Run {
    delivery: DeliveryId,
    message: usize,
    ends_at: Instant,
    permit: Option<Permit>,
}

struct Simulation<'a> {
    scene: &'a Scene,
    now: Instant,
    begun: Instant,
    ledger: Ledger,
    limits: Limits,
    sqs: Sqs,
    open: Vec<(Receive, Instant)>,
    runs: Vec<Run>,
    /// The receives of each message.
    receives: HashMap<usize, u32>,
    /// The starts of each type, in order: the message, its delivery and the time.
    starts: BTreeMap<usize, Vec<(usize, DeliveryId, Instant)>>,
    /// Deliveries that were refused once.
    refused: HashSet<DeliveryId>,
    /// The deliveries of each type that wait in hand.
    waiting: HashMap<usize, BTreeSet<DeliveryId>>,
    /// The number of times that each message was returned.
    returned: HashMap<usize, usize>,
    most_hidden: usize,
    done: usize,
}

impl<'a> Simulation<'a> {
    fn new(scene: &'a Scene) -> Self {
        let mut rules = LimitRules::none(NonZeroUsize::MIN);
        for (number, limit) in scene.limits.iter().enumerate() {
            let of_type = match limit {
                Limit::None => continue,
                Limit::Concurrency(most) => {
                    TypeRules { concurrency: NonZeroUsize::new(*most), ..TypeRules::default() }
                }
                Limit::Rate(per_second) => {
                    let rate: Rate = format!("{per_second}/s").parse().unwrap();
                    let rate = RateRule { rate, burst: NonZeroU32::MIN, key: None };
                    TypeRules { rate: Some(rate), ..TypeRules::default() }
                }
            };
            rules.types.insert(number.to_string(), of_type);
        }
        let mut policy = Policy::new(Duration::from_secs(30));
        policy.concurrency = NonZeroUsize::new(scene.concurrency).unwrap();
        policy.receives = ReceiveLimit::AtMost(NonZeroU32::new(MAX_RECEIVES).unwrap());
        // Receives alone are no evidence that a message kills the process.
        policy.crash_evidence = CrashEvidence::Store;
        let limits = Limits::new(rules).for_queue();
        let mut ledger = Ledger::new(policy).unwrap();
        ledger.set_limits(limits.clone());
        let now = some_instant();
        let mut sqs = Sqs::new(false, Duration::from_secs(30), MAX_RECEIVES);
        for _ in &scene.jobs {
            sqs.send(now, 0, 0);
        }
        Self {
            scene,
            now,
            begun: now,
            ledger,
            limits,
            sqs,
            open: Vec::new(),
            runs: Vec::new(),
            receives: HashMap::new(),
            starts: BTreeMap::new(),
            refused: HashSet::new(),
            waiting: HashMap::new(),
            returned: HashMap::new(),
            most_hidden: 0,
            done: 0,
        }
    }

    fn act(&mut self) {
        loop {
            self.ledger.tick(self.now);
            let mut refused = Vec::new();
            while let Some(effect) = self.ledger.next_effect() {
                match effect {
                    Effect::Receive(receive) => self.open.push((receive, self.now + ANSWER)),
                    Effect::Start(start) => {
                        let message = index(&start.message.id);
                        let job_type = self.scene.jobs[message].0;
                        let name = job_type.to_string().as_str().into();
                        let (queue, empty) = ("jobs".into(), Message::default());
                        match self.limits.admit(self.now, &queue, &name, &empty, RawValue::NULL, start.permit)
                        {
                            Ok(permit) => self.starts_run(start.delivery, message, permit),
                            Err(limited) => refused.push((start.delivery, message, limited)),
                        }
                    }
                    Effect::Call(call) => {
                        let replies = self.perform(&call.action);
                        self.ledger.called(self.now, call.id, replies, Jitter::new(0));
                    }
                    Effect::Event(LedgerEvent::Decided { delivery, message, outcome, .. }) => {
                        if let Outcome::RetryAfter(_) = outcome {
                            *self.returned.entry(index(&message.id)).or_default() += 1;
                        }
                        self.no_longer_waits(delivery, index(&message.id));
                    }
                    _ => {}
                }
            }
            if refused.is_empty() {
                return;
            }
            for (delivery, message, limited) in refused {
                let ending = Ending::Limited {
                    remaining: Duration::ZERO,
                    limit: limited.1.reason,
                    reason: "limited".to_owned(),
                };
                let report = RunReport { limited: Some(Box::new(limited)), ..RunReport::new(ending, None) };
                self.refused.insert(delivery);
                let of_type = self.waiting.entry(self.scene.jobs[message].0).or_default();
                of_type.insert(delivery);
                self.ledger.ended(self.now, delivery, report, Jitter::new(0));
            }
        }
    }

    fn perform(&mut self, action: &Action) -> Vec<Result<(), CallError>> {
        match action {
            Action::Delete(entries) => {
                entries.iter().map(|entry| self.sqs.delete(self.now, &entry.receipt)).collect()
            }
            Action::ChangeVisibility(entries) => {
                let (now, sqs) = (self.now, &mut self.sqs);
                entries.iter().map(|e| sqs.change_visibility(now, &e.receipt, e.visibility_secs)).collect()
            }
            Action::DeadLetter { .. } => panic!("nothing fails"),
        }
    }

    fn no_longer_waits(&mut self, delivery: DeliveryId, message: usize) {
        if let Some(of_type) = self.waiting.get_mut(&self.scene.jobs[message].0) {
            of_type.remove(&delivery);
        }
    }

    /// A job runs. Checks by a naive count that it may, and that it is its turn.
    fn starts_run(&mut self, delivery: DeliveryId, message: usize, permit: Option<Permit>) {
        let (job_type, takes) = self.scene.jobs[message];
        let first = self.waiting.get(&job_type).and_then(|of_type| of_type.first());
        assert!(first.is_none_or(|first| *first == delivery), "{first:?} waits before {delivery:?}");
        self.no_longer_waits(delivery, message);
        let of_type = self.runs.iter().filter(|run| self.scene.jobs[run.message].0 == job_type).count();
        let starts = self.starts.entry(job_type).or_default();
        match self.scene.limits[job_type] {
            Limit::None => assert!(permit.is_none()),
            Limit::Concurrency(most) => assert!(of_type < most, "{most} at once"),
            Limit::Rate(per_second) => {
                let gap = starts.last().map(|(_, _, last)| self.now - *last);
                let least = Duration::from_secs(1) / per_second;
                assert!(gap.is_none_or(|gap| gap + Duration::from_micros(1) >= least), "{gap:?} < {least:?}");
            }
        }
        starts.push((message, delivery, self.now));
        self.runs.push(Run { delivery, message, ends_at: self.now + takes, permit });
        assert!(self.runs.len() <= self.scene.concurrency);
    }

    /// Time passes until the next event.
    fn goes_on(&mut self) {
        let lands = self.open.iter().map(|(_, at)| {
            // A long poll waits for a message.
            let visible =
                if self.sqs.has_message(self.now) { Some(self.now) } else { self.sqs.next_visible(self.now) };
            visible.map_or(*at + Duration::from_secs(20), |visible| visible.max(*at))
        });
        let ends = self.runs.iter().map(|run| run.ends_at);
        let next = lands.chain(ends).chain(self.ledger.timeout()).min().expect("something happens");
        self.now = self.now.max(next);
        while let Some(pick) = self.runs.iter().position(|run| run.ends_at <= self.now) {
            let run = self.runs.remove(pick);
            let report = RunReport { permit: run.permit, ..RunReport::new(Ending::Done, None) };
            self.ledger.ended(self.now, run.delivery, report, Jitter::new(0));
            self.done += 1;
        }
        while let Some(pick) = self.open.iter().position(|(_, at)| {
            let is_over = *at + Duration::from_secs(20) <= self.now;
            *at <= self.now && (self.sqs.has_message(self.now) || is_over)
        }) {
            let (receive, _) = self.open.remove(pick);
            let messages = self.sqs.receive(self.now, receive.max);
            for message in &messages {
                self.receives.insert(index(&message.id), message.receive_count);
            }
            self.ledger.received(self.now, receive.id, messages);
            self.act();
        }
        self.act();
        self.looks_right();
    }

    fn looks_right(&mut self) {
        let hidden = |m: &&crate::sqs::Stored| m.place == Place::Queue && m.visible_at > self.now;
        self.most_hidden = self.most_hidden.max(self.sqs.messages.iter().filter(hidden).count());
        for waiting in self.waiting.values() {
            assert!(waiting.len() <= HELD_PER_CLASS, "{} of a type wait", waiting.len());
        }
        assert!(self.ledger.in_hand() <= 3 * self.scene.concurrency.max(HELD_PER_CLASS) + 20);
    }

    /// Checks that the held messages of a class start in the order of their receipt, each before all later ones.
    fn starts_in_order(&self) {
        for starts in self.starts.values() {
            let held: Vec<DeliveryId> = starts
                .iter()
                .map(|(_, delivery, _)| *delivery)
                .filter(|id| self.refused.contains(id))
                .collect();
            assert!(held.is_sorted(), "{held:?}");
        }
    }

    /// Checks that a message has at most two receives, and one more for ten minutes of waiting.
    fn receives_are_few(&self) {
        for (message, _, at) in self.starts.values().flatten() {
            let waited = (*at - self.begun).as_secs() / 600;
            let receives = u64::from(self.receives[message]);
            assert!(receives <= 2 + waited, "m{message}: {receives} after {waited}0 minutes");
        }
    }
}

/// All jobs are done at the end, within their limits, in their order, and with few receives; jobs without limits run at once.
pub(crate) fn goes_well(scene: &Scene) -> Seen {
    let mut simulation = Simulation::new(scene);
    simulation.act();
    while simulation.done < scene.jobs.len() {
        assert!(simulation.now < simulation.begun + Duration::from_secs(7200), "it takes too long");
        simulation.goes_on();
    }
    let dead = simulation.sqs.messages.iter().filter(|m| m.place == Place::DeadLetterQueue).count();
    assert_eq!(dead, 0);
    simulation.starts_in_order();
    simulation.receives_are_few();
    // If the only type is limited, few messages are hidden.
    if scene.limits.len() == 1 && scene.limits[0] != Limit::None {
        let most = 2 * scene.concurrency + HELD_PER_CLASS + 2 * IN_A_ROW;
        assert!(simulation.most_hidden <= most, "{} are hidden", simulation.most_hidden);
    }
    Seen {
        held: simulation.refused.len(),
        returned: simulation.returned.len(),
        returned_again: simulation.returned.values().filter(|times| **times > 1).count(),
    }
}
