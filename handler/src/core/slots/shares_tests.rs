#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]
use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// The cases of each property of short scripts; those of long scripts have fewer.
const CASES: u32 = 5_000;

/// Tests may take a first instant from anywhere; all others follow from it.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn weighs(weight: u32) -> SlotRules {
    SlotRules { weight: NonZeroU32::new(weight).unwrap(), ..SlotRules::default() }
}

/// A naive model of a queue: it starts a job in every slot that it gets.
#[derive(Debug, Clone)]
struct Queue {
    id: u64,
    rules: SlotRules,
    /// The maximum number of its runs at once.
    most: usize,
    /// The lengths of its jobs, one after the other.
    jobs: Vec<u32>,
    has_messages: bool,
    is_late: bool,
    /// The starts and the ends of its runs, in milliseconds.
    runs: Vec<(u64, u64)>,
    /// The starts and the lengths of all its runs.
    past: Vec<(u64, u64)>,
    ended: EndedJobs,
}

/// Queues with a pool, on virtual time.
struct Model {
    shares: Shares,
    queues: Vec<Queue>,
    born: Instant,
    now: u64,
}

impl Model {
    fn new(size: usize, queues: &[(SlotRules, usize, Vec<u32>)]) -> Self {
        let mut shares = Shares::new(size);
        let queues = queues.iter().map(|(rules, most, jobs)| Queue {
            id: shares.join("queue".into(), *rules).0,
            rules: *rules,
            most: *most,
            jobs: jobs.clone(),
            has_messages: false,
            is_late: false,
            runs: Vec::new(),
            past: Vec::new(),
            ended: EndedJobs::default(),
        });
        let queues: Vec<_> = queues.collect();
        Self { shares, queues, born: start(), now: 0 }
    }

    /// A queue returns its unused slots, and each queue that got slots by that starts jobs in them.
    fn reports(&mut self, index: usize) {
        let mut got_slots = self.report(index);
        while let Some(index) = got_slots.pop() {
            self.starts(index);
            got_slots.extend(self.report(index));
        }
        self.looks_right();
    }

    /// Starts jobs in the slots that a queue has.
    fn starts(&mut self, index: usize) {
        let (now, queue) = (self.now, &mut self.queues[index]);
        let granted = self.shares.members[&queue.id].granted;
        while queue.has_messages && queue.runs.len() < granted.min(queue.most) {
            let length = u64::from(queue.jobs[queue.past.len() % queue.jobs.len()]);
            queue.runs.push((now, now + length));
            queue.past.push((now, length));
        }
    }

    /// Returns the queues that got slots.
    fn report(&mut self, index: usize) -> Vec<usize> {
        let queue = &mut self.queues[index];
        let running = queue.runs.len();
        let usage = SlotUse {
            running,
            taken: running,
            keeps: running,
            wants: if queue.has_messages { queue.most } else { running },
            has_backlog: queue.has_messages,
            is_hungry: queue.has_messages && running < queue.most,
            is_late: queue.is_late && queue.has_messages,
            ended: std::mem::take(&mut queue.ended),
        };
        let at = self.born + MILLI * u32::try_from(self.now).unwrap();
        let granted = self.shares.report(at, queue.id, usage);
        let index_of = |id: &u64| self.queues.iter().position(|queue| queue.id == *id).unwrap();
        granted.iter().map(index_of).collect()
    }

    /// Runs end until `until`, each at its time.
    fn runs_until(&mut self, until: u64) {
        loop {
            let runs = self.queues.iter().enumerate();
            let next = runs.flat_map(|(index, queue)| queue.runs.iter().map(move |run| (run.1, index))).min();
            let Some((at, index)) = next.filter(|(at, _)| *at <= until) else { break };
            self.now = at;
            let queue = &mut self.queues[index];
            let run = queue.runs.iter().position(|run| run.1 == at).unwrap();
            let (began, _) = queue.runs.swap_remove(run);
            queue.ended.add(Duration::from_millis(at - began));
            self.reports(index);
        }
        self.now = until;
    }

    /// Asserts the invariants after every report.
    fn looks_right(&self) {
        let size = self.shares.size();
        let slots = |of: &dyn Fn(&Queue) -> bool| -> usize {
            let of = self.queues.iter().filter(|queue| of(queue));
            of.map(|queue| self.shares.members[&queue.id].granted).sum()
        };
        let is_critical = |queue: &Queue| queue.rules.priority == Priority::Critical;
        let all = slots(&|_| true);
        assert!(all <= size, "{all} slots of {size}");
        let kept = if self.queues.iter().any(is_critical) { reserved_slots(size) } else { 0 };
        let normal = slots(&|queue| !is_critical(queue));
        assert!(normal <= size - kept.min(size), "{normal} slots of {size}, of which {kept} are kept");
        for queue in &self.queues {
            let wants = queue.has_messages && queue.runs.len() < queue.most;
            let may_have =
                all < size && (is_critical(queue) || size - all > kept.saturating_sub(all - normal));
            assert!(!(wants && may_have), "a slot is free that a queue wants");
            assert!(self.shares.members[&queue.id].granted == queue.runs.len(), "every slot is used at once");
        }
    }

    /// The slot time of a queue from one time to another, in milliseconds.
    fn slot_time(&self, index: usize, from: u64, until: u64) -> f64 {
        let within = |(began, length): &(u64, u64)| {
            (began + length).min(until).saturating_sub((*began).max(from)) as f64
        };
        self.queues[index].past.iter().map(within).sum()
    }

    fn weight(&self, index: usize) -> f64 {
        f64::from(self.queues[index].rules.weight.get())
    }
}

fn rules() -> impl Strategy<Value = SlotRules> {
    (prop_oneof![1..=10_u32, Just(1_000)], any::<bool>(), 0..6_u8).prop_map(|(weight, ages, kind)| {
        SlotRules {
            max_age: ages.then_some(MILLI),
            priority: if kind == 0 { Priority::Critical } else { Priority::Normal },
            ..weighs(weight)
        }
    })
}

fn queue() -> impl Strategy<Value = (SlotRules, usize, Vec<u32>)> {
    (rules(), 1..20_usize, prop::collection::vec(20..400_u32, 1..5))
}

/// The longest time, in milliseconds, that a queue with messages waits from one start to the next, as `docs/flow.md` says.
fn bound(size: usize, weights: f64, weight: f64, longest: u32) -> f64 {
    f64::from(longest) * (4.0 + 2.0 * weights / (weight * size as f64))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    /// Queues get messages and run out of them, are late and no longer late: no slot is granted twice, none stays free that a
    /// queue wants, and the slots reserved for critical queues stay reserved.
    #[test]
    fn slots_are_granted_once_and_to_whoever_wants_them(
        size in 2..24_usize,
        queues in prop::collection::vec(queue(), 1..5),
        script in prop::collection::vec((0..4_usize, 0..4_u8, 0..300_u64), 1..40),
    ) {
        let mut model = Model::new(size, &queues);
        for (index, what, time) in script {
            let index = index % model.queues.len();
            match what {
                0 => model.queues[index].has_messages = false,
                1 => model.queues[index].is_late ^= true,
                _ => model.queues[index].has_messages = true,
            }
            model.reports(index);
            model.runs_until(model.now + time);
        }
    }

    /// A queue that leaves takes no slots with it.
    #[test]
    fn slots_of_a_queue_that_leaves_are_free(
        size in 2..24_usize,
        queues in prop::collection::vec(queue(), 2..5),
        times in prop::collection::vec(0..300_u64, 4),
    ) {
        let mut model = Model::new(size, &queues);
        for (index, time) in times.into_iter().enumerate() {
            let index = index % model.queues.len();
            model.queues[index].has_messages = true;
            model.reports(index);
            model.runs_until(model.now + time);
        }
        let gone = model.queues.remove(0);
        let got_slots = model.shares.leave(gone.id);
        for id in got_slots {
            let index = model.queues.iter().position(|queue| queue.id == id).unwrap();
            model.starts(index);
        }
        for index in 0..model.queues.len() {
            model.queues[index].most = size;
            model.reports(index);
        }
        let any_wants = model.queues.iter().any(|queue| queue.has_messages);
        let running: usize = model.queues.iter().map(|queue| queue.runs.len()).sum();
        prop_assert!(!any_wants || running + reserved_slots(size) >= size, "{running} of {size} run");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES / 20) })]

    /// While two queues both have messages, their slot time grows by their weights, for any past and any other queues: except
    /// for earlier runs and a few jobs.
    #[test]
    fn queues_with_messages_have_slot_time_by_their_weights(
        size in 2..24_usize,
        queues in prop::collection::vec((1..=10_u32, prop::collection::vec(20..400_u32, 1..5)), 2..5),
        before in prop::collection::vec((0..4_usize, any::<bool>(), 0..2_000_u64), 0..10),
        others in prop::collection::vec((2..4_usize, any::<bool>(), 0..2_000_u64), 0..10),
    ) {
        let queues: Vec<_> = queues.iter().map(|(weight, jobs)| (weighs(*weight), size, jobs.clone())).collect();
        let mut model = Model::new(size, &queues);
        let happens = |model: &mut Model, (index, has_messages, time): (usize, bool, u64)| {
            if index < model.queues.len() {
                model.queues[index].has_messages = has_messages;
                model.reports(index);
            }
            model.runs_until(model.now + time);
        };
        for step in before {
            happens(&mut model, step);
        }
        happens(&mut model, (0, true, 0));
        happens(&mut model, (1, true, 0));
        let began = model.now;
        for step in others {
            happens(&mut model, step);
        }
        model.runs_until(model.now + 10_000);
        let longest = |index: usize| f64::from(*queues[index].2.iter().max().unwrap());
        let served = |index: usize| model.slot_time(index, began, model.now) / model.weight(index);
        let slots = size as f64;
        let few_jobs = |index: usize| (slots + 1.0) * longest(index) / model.weight(index);
        let difference = (served(0) - served(1)).abs();
        prop_assert!(
            difference <= few_jobs(0) + few_jobs(1),
            "{} and {} after {} ms", served(0), served(1), model.now - began
        );
    }

    /// No queue waits longer for a slot than its bound, for any jobs; if others pass, at most twice as long.
    #[test]
    fn no_queue_waits_longer_than_its_bound(
        size in 2..24_usize,
        queues in prop::collection::vec((1..=10_u32, prop::collection::vec(20..400_u32, 1..5), any::<bool>()), 2..5),
        passes in any::<bool>(),
    ) {
        let of = |(weight, jobs, late): &(u32, Vec<u32>, bool)| (weighs(*weight), size, jobs.clone(), passes && *late);
        let queues: Vec<_> = queues.iter().map(of).collect();
        let mut model = Model::new(
            size,
            &queues.iter().map(|(rules, most, jobs, _)| (*rules, *most, jobs.clone())).collect::<Vec<_>>(),
        );
        for (index, (.., late)) in queues.iter().enumerate() {
            model.queues[index].has_messages = true;
            model.queues[index].is_late = *late;
        }
        for index in 0..queues.len() {
            model.reports(index);
        }
        model.runs_until(10_000);
        let weights: f64 = (0..queues.len()).map(|index| model.weight(index)).sum();
        let longest = queues.iter().flat_map(|queue| &queue.2).max().unwrap();
        let some_pass = queues.iter().any(|queue| queue.3);
        let slots = if some_pass { size - (size / 2).max(1) } else { size };
        for index in 0..queues.len() {
            let bound = bound(slots, weights, model.weight(index), *longest);
            let starts = model.queues[index].past.iter().map(|run| run.0).chain([model.now]);
            let gaps = starts.clone().zip(starts.skip(1)).map(|(from, to)| to - from);
            let widest = gaps.max().unwrap_or(model.now);
            prop_assert!(widest as f64 <= bound, "queue {index} waits {widest} ms, of {bound}");
        }
    }
}

/// Two queues, one of which has had all slots to itself.
#[test]
fn a_queue_neither_saves_unused_slots_nor_owes_for_idle_ones() {
    let mut model = Model::new(8, &[(weighs(1), 8, vec![100]), (weighs(1), 8, vec![100])]);
    model.queues[0].has_messages = true;
    model.reports(0);
    model.runs_until(60_050);
    model.queues[1].has_messages = true;
    model.reports(1);
    model.runs_until(62_050);
    let served = |index| model.slot_time(index, 60_100, 62_050);
    assert!((served(0) - served(1)).abs() <= 800.0, "{} and {}", served(0), served(1));
}

#[test]
fn late_queues_pass_until_they_have_half_of_the_slots() {
    let queues = [(weighs(8), 16, vec![100]), (weighs(1), 16, vec![100]), (weighs(1), 16, vec![100])];
    let mut model = Model::new(16, &queues);
    for index in 0..3 {
        model.queues[index].has_messages = true;
        model.reports(index);
    }
    model.runs_until(5_000);
    (model.queues[1].is_late, model.queues[2].is_late) = (true, true);
    model.reports(1);
    model.reports(2);
    model.runs_until(15_000);
    let share = |index| model.slot_time(index, 6_000, 15_000) / (16.0 * 9_000.0);
    assert!((share(0) - 0.5).abs() < 0.02 && (share(1) - share(2)).abs() < 0.02, "{}", share(0));
    // After that it pays for one job only.
    (model.queues[1].is_late, model.queues[2].is_late) = (false, false);
    model.reports(1);
    model.reports(2);
    model.runs_until(20_000);
    let share = |index| model.slot_time(index, 15_300, 20_000) / (16.0 * 4_700.0);
    assert!((share(1) - 0.1).abs() < 0.02, "{}", share(1));
}

#[test]
fn slots_are_kept_for_critical_queues() {
    let critical = SlotRules { priority: Priority::Critical, ..weighs(1) };
    let mut model = Model::new(20, &[(weighs(1_000), 20, vec![100]), (critical, 20, vec![100])]);
    model.queues[0].has_messages = true;
    model.reports(0);
    assert_eq!(model.queues[0].runs.len(), 18);
    model.runs_until(1_050);
    model.queues[1].has_messages = true;
    model.reports(1);
    assert_eq!(model.queues[1].runs.len(), 2, "they start at once");
    model.runs_until(1_100);
    assert_eq!(model.queues[1].runs.len(), 10, "and more with the next free slots, up to half of all");
}
