//! Decides which queue gets the next free slot.
//!
//! Weighted fair sharing of slot time: each queue is charged the time for which its runs hold slots, divided by its weight, and
//! the next free slot goes to the queue that wants one and has the lowest charge; a slot that a queue has counts as one more
//! job of its usual length. Invariants: at most the pool's slots are granted; a slot is free only if no queue that may have it
//! wants it; a queue that wants no slot gains no claim to later ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use event_listener::Event;

use super::job_times::{EndedJobs, JobTimes};
use super::rules::{Priority, SlotRules, reserved_slots};

/// The usual length of a queue's jobs while none of the process has ended, in seconds. Any value works, because all queues
/// start with it.
const FIRST_JOB_TIME: f64 = 1.0;

/// A queue's use of its slots, and its needs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SlotUse {
    /// The runs.
    pub(crate) running: usize,
    /// The slots that it cannot return now: runs, and messages that open receives may return.
    pub(crate) taken: usize,
    /// The slots that it keeps of its own: the taken ones, and those for received and collected messages. The others go to the
    /// queue whose turn it is.
    pub(crate) keeps: usize,
    /// The slots that it would use now, including its own.
    pub(crate) wants: usize,
    /// It has more messages, as far as is known.
    pub(crate) has_backlog: bool,
    /// It has more messages, and may have more slots: it would use them now or soon.
    pub(crate) is_hungry: bool,
    /// Its oldest message is older than its rules allow.
    pub(crate) is_late: bool,
    /// The jobs that have ended since the last report.
    pub(crate) ended: EndedJobs,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) rules: SlotRules,
    pub(super) granted: usize,
    pub(super) usage: SlotUse,
    /// It competes for slots.
    competes: bool,
    /// The slot seconds of its runs, divided by its weight, plus corrections so that it is no further behind than the others.
    charged: f64,
    /// The lengths of its jobs, after the first has ended.
    jobs: Option<JobTimes>,
    pub(super) changed: Arc<Event>,
}

impl Member {
    fn new(name: Arc<str>, rules: SlotRules) -> Self {
        Self {
            name,
            rules,
            granted: 0,
            usage: SlotUse::default(),
            competes: false,
            charged: 0.0,
            jobs: None,
            changed: Arc::new(Event::new()),
        }
    }

    fn weight(&self) -> f64 {
        f64::from(self.rules.weight.get())
    }

    /// Returns true if it wants a slot now.
    fn wants_more(&self) -> bool {
        self.usage.wants > self.granted
    }

    /// Returns true if it has work.
    fn has_work(&self) -> bool {
        self.usage.has_backlog || self.wants_more() || self.usage.running > 0
    }

    fn is_critical(&self) -> bool {
        self.rules.priority == Priority::Critical
    }

    /// Returns true if it gets free slots before others, within bounds.
    fn passes(&self) -> bool {
        self.is_critical() || self.usage.is_late
    }

    /// The charge for comparisons: the time charged so far, and the cost of its slots. `usual` is the length of the process's
    /// jobs.
    fn turn(&self, usual: f64) -> f64 {
        self.charged + float(self.granted) * self.jobs.map_or(usual, |jobs| jobs.usual) / self.weight()
    }
}

/// The shares of a pool: only accounting, without a lock.
#[derive(Debug)]
pub(super) struct Shares {
    size: usize,
    pub(super) members: BTreeMap<u64, Member>,
    last_id: u64,
    /// The lowest charge of all queues that compete: a queue that starts to compete starts with it.
    level: f64,
    charged_until: Option<Instant>,
}

impl Shares {
    pub(super) fn new(size: usize) -> Self {
        Self { size, members: BTreeMap::new(), last_id: 0, level: 0.0, charged_until: None }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn join(&mut self, name: Arc<str>, rules: SlotRules) -> (u64, Arc<Event>) {
        self.last_id += 1;
        let member = Member::new(name, rules);
        let changed = Arc::clone(&member.changed);
        self.members.insert(self.last_id, member);
        (self.last_id, changed)
    }

    /// A queue leaves, and its slots are free. Returns the queues that got more slots by that.
    pub(super) fn leave(&mut self, id: u64) -> Vec<u64> {
        self.members.remove(&id);
        self.grant()
    }

    /// Takes a queue's use of its slots. Returns the queues that got more slots by that.
    pub(super) fn report(&mut self, now: Instant, id: u64, usage: SlotUse) -> Vec<u64> {
        self.charge(now);
        let Some(member) = self.members.get_mut(&id) else { return Vec::new() };
        member.usage = usage;
        member.jobs = JobTimes::with(member.jobs, usage.ended);
        member.granted = member.granted.min(usage.keeps).max(usage.taken);
        let (level, competes) = (self.level, self.competes(id));
        if let Some(member) = self.members.get_mut(&id)
            && std::mem::replace(&mut member.competes, competes) != competes
            && competes
        {
            // Its unused time is gone: others have used it.
            member.charged = member.charged.max(level);
        }
        self.grant()
    }

    /// Returns true if a queue competes for slots: not if it has as many as its own concurrency allows, unless these are more
    /// than its share, because it was behind.
    fn competes(&self, id: u64) -> bool {
        let Some(member) = self.members.get(&id) else { return false };
        let is_ahead = || float(member.granted) >= self.share(id);
        member.wants_more() || member.usage.is_hungry || member.usage.has_backlog && is_ahead()
    }

    /// The slots of a queue by its weight among the queues that have work now.
    pub(super) fn share(&self, id: u64) -> f64 {
        let others = self.members.iter().filter(|(other, member)| **other != id && member.has_work());
        let Some(own) = self.members.get(&id).map(Member::weight) else { return 0.0 };
        let all: f64 = own + others.map(|(_, member)| member.weight()).sum::<f64>();
        float(self.size) * own / all
    }

    /// Charges the time since the last change.
    fn charge(&mut self, now: Instant) {
        let since = self.charged_until.replace(now).unwrap_or(now);
        let time = now.saturating_duration_since(since).as_secs_f64();
        for member in self.members.values_mut() {
            member.charged += time * float(member.usage.running) / member.weight();
        }
        let competing = self.members.values().filter(|member| member.competes);
        let lowest = competing.map(|member| member.charged).reduce(f64::min);
        // While none competes, slots are free for all, and past use is forgotten.
        let reached = lowest
            .or_else(|| self.members.values().map(|member| member.charged).reduce(f64::max))
            .unwrap_or_default();
        self.level = self.level.max(reached);
        self.limit_debts();
    }

    /// Forgives a queue's use beyond its share, because it took slots that were idle, or passed others. The remaining debt is
    /// at most the difference between queues with shorter and with longer jobs while all have their shares, and one job.
    fn limit_debts(&mut self) {
        let usual = self.usual_job_time();
        let with_work = || self.members.values().filter(|member| member.has_work());
        let weights: f64 = with_work().map(Member::weight).sum();
        let longest = with_work().map(|member| member.jobs.map_or(usual, |jobs| jobs.longest));
        let longest = longest.fold(0.0, f64::max);
        for member in self.members.values_mut() {
            let weight = member.weight();
            let most = longest * (float(self.size) / weights.max(weight) + 1.0 / weight);
            member.charged = member.charged.min(self.level + most);
        }
    }

    /// The usual length of the process's jobs, in seconds.
    fn usual_job_time(&self) -> f64 {
        let known = self.members.values().filter_map(|member| member.jobs);
        let (count, sum) = known.fold((0.0, 0.0), |(count, sum), jobs| (count + 1.0, sum + jobs.usual));
        if count > 0.0 { sum / count } else { FIRST_JOB_TIME }
    }

    /// Grants all free slots to the queues that want them. Returns the queues that got some.
    fn grant(&mut self) -> Vec<u64> {
        let mut granted: Vec<u64> = Vec::new();
        let usual = self.usual_job_time();
        while let Some(id) = self.next(usual) {
            let Some(member) = self.members.get_mut(&id) else { break };
            member.granted += 1;
            if !granted.contains(&id) {
                granted.push(id);
            }
        }
        granted
    }

    /// The queue that gets the next free slot.
    fn next(&self, usual: f64) -> Option<u64> {
        let granted = |of: fn(&Member) -> bool| -> usize {
            self.members.values().filter(|member| of(member)).map(|member| member.granted).sum()
        };
        let free = self.size.saturating_sub(granted(|_| true));
        if free == 0 {
            return None;
        }
        let reserved =
            if self.members.values().any(Member::is_critical) { reserved_slots(self.size) } else { 0 };
        let reserved = reserved.saturating_sub(granted(Member::is_critical));
        let critical = || self.first(Member::is_critical, usual);
        if reserved > 0
            && let Some(id) = critical()
        {
            return Some(id);
        }
        if free <= reserved {
            return None;
        }
        // Late and critical queues leave the others half of the pool.
        let passing = if granted(Member::passes) < (self.size / 2).max(1) {
            critical().or_else(|| self.first(Member::passes, usual))
        } else {
            None
        };
        passing.or_else(|| self.first(|_| true, usual))
    }

    /// Returns the queue whose turn it is, of those that want a slot.
    fn first(&self, among: fn(&Member) -> bool, usual: f64) -> Option<u64> {
        let wanting = self.members.iter().filter(|(_, member)| member.wants_more() && among(member));
        wanting.min_by(|(_, a), (_, b)| a.turn(usual).total_cmp(&b.turn(usual))).map(|(id, _)| *id)
    }
}

/// Slots are at most ten thousand.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
