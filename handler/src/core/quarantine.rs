//! Messages that may kill the process run in small groups, with nothing beside them.
//!
//! A message whose earlier runs never ended may be the reason why their process died, and its neighbours with it. Such suspects
//! wait until nothing else runs, and then run in groups: the smaller, the more often they may have killed, and alone on their
//! last two receives. Every group that a process survives doubles the next ones, because most suspects are innocent; a suspect
//! on its very last receive stays alone, because a neighbour could not be retried. See ADR 0004.
//!
//! Caution never stops a queue for long: a group waits at most a minute for running jobs, and has the process alone for at most
//! a minute.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;

/// From this receive on, a message without a known ending is a suspect, if only its receives are known. Two crashes may be
/// chance; the redrive policy takes a message after five receives or more, so this leaves attempts to detect the message.
pub(crate) const QUARANTINE_RECEIVES: u32 = 3;

/// The time that a group waits for running jobs, and the time that it has the process alone.
const CAUTION: Duration = Duration::from_secs(60);

/// The time for which a process runs suspects on their last receive alone, from the first one on, if their receives are the
/// only evidence: after a long outage and a deploy that is every message.
const CAUTION_BY_RECEIVES: Duration = Duration::from_secs(120);

/// The evidence against a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The maximum number of runs that may have ended with their process.
    pub(crate) crashes: u32,
    /// The receives that the redrive policy leaves it after this one, if that number is known.
    pub(crate) receives_left: Option<u32>,
    /// The store has seen the claims of those runs expire. If not, they may as well have failed in another process.
    pub(crate) is_certain: bool,
}

impl Evidence {
    /// The evidence against a message after this number of receives.
    pub(crate) fn new(
        crashes: u32,
        receives: u32,
        max_receives: Option<NonZeroU32>,
        is_certain: bool,
    ) -> Self {
        let receives_left = max_receives.map(|max| max.get().saturating_sub(receives));
        Self { crashes, receives_left, is_certain }
    }

    /// Returns true if it must not crash beside another suspect.
    fn must_be_alone(self) -> bool {
        self.receives_left.is_some_and(|left| left < if self.is_certain { 2 } else { 1 })
    }

    /// Returns the number of such suspects that run together in a process that has not yet survived a group.
    fn first_size(self, concurrency: usize) -> usize {
        if self.receives_left.is_some_and(|left| left < 2) {
            return 1;
        }
        concurrency.checked_shr(self.crashes).unwrap_or(0).max(1)
    }
}

/// A message that waits for its group.
#[derive(Debug, Clone, Copy)]
struct Quarantined {
    id: DeliveryId,
    evidence: Evidence,
    /// Its run holds a slot, and waits before its handler.
    has_run: bool,
}

#[derive(Debug)]
pub(crate) struct Quarantine {
    concurrency: usize,
    waiting: VecDeque<Quarantined>,
    /// The group that runs alone.
    group: Vec<DeliveryId>,
    group_until: Option<Instant>,
    /// The time until which the next group waits for running jobs.
    patient_until: Option<Instant>,
    /// It has waited long enough.
    is_impatient: bool,
    /// The number of groups that this process has survived.
    survived: u32,
    /// The time until which receives as the only evidence keep suspects on their last one alone.
    alone_until: Option<Instant>,
}

impl Quarantine {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            waiting: VecDeque::new(),
            group: Vec::new(),
            group_until: None,
            patient_until: None,
            is_impatient: false,
            survived: 0,
            alone_until: None,
        }
    }

    /// Sets the maximum size of the next groups.
    pub(crate) fn set_concurrency(&mut self, concurrency: usize) {
        self.concurrency = concurrency;
    }

    /// Returns the number of such suspects that may run together now.
    fn size(&self, now: Instant, evidence: Evidence) -> usize {
        let stays_alone = evidence.is_certain || self.alone_until.is_none_or(|until| now < until);
        if evidence.must_be_alone() && stays_alone {
            return 1;
        }
        let doubled = 1_usize.checked_shl(self.survived).unwrap_or(usize::MAX);
        evidence.first_size(self.concurrency).saturating_mul(doubled).min(self.concurrency)
    }

    /// Has a suspect wait for its group. Returns the maximum number of messages for each receive from now on, or `None` for a
    /// suspect that need not wait, because its group would be as large as any.
    pub(crate) fn takes(
        &mut self,
        now: Instant,
        id: DeliveryId,
        evidence: Evidence,
        has_run: bool,
    ) -> Option<usize> {
        if evidence.must_be_alone() && !evidence.is_certain {
            self.alone_until.get_or_insert(now + CAUTION_BY_RECEIVES);
        }
        let size = self.size(now, evidence);
        if size >= self.concurrency {
            return None;
        }
        self.waiting.push_back(Quarantined { id, evidence, has_run });
        if self.group.is_empty() && !self.is_impatient {
            self.patient_until.get_or_insert(now + CAUTION);
        }
        Some(size)
    }

    /// Returns the next group, if its turn has come. Suspects with the largest groups come first: they are likelier to end
    /// before a crash.
    pub(crate) fn next_group(&mut self, now: Instant, others_run: bool, slots: usize) -> Vec<DeliveryId> {
        if self.waiting.is_empty() || !self.group.is_empty() || others_run && !self.is_impatient {
            return Vec::new();
        }
        let mut quarantined: Vec<_> = self.waiting.iter().map(|s| (self.size(now, s.evidence), *s)).collect();
        quarantined.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        let (mut most, mut without_run) = (usize::MAX, 0);
        let mut group = Vec::new();
        for (size, quarantined) in quarantined {
            most = most.min(size);
            if group.len() >= most || !quarantined.has_run && without_run == slots {
                break;
            }
            without_run += usize::from(!quarantined.has_run);
            group.push(quarantined.id);
        }
        self.waiting.retain(|quarantined| !group.contains(&quarantined.id));
        group
    }

    /// These suspects of a group run now.
    pub(crate) fn runs(&mut self, now: Instant, group: Vec<DeliveryId>) {
        if !group.is_empty() {
            (self.patient_until, self.is_impatient) = (None, false);
            self.group_until = Some(now + CAUTION);
            self.group = group;
        }
    }

    /// A delivery has ended, by a run of its handler or without one.
    pub(crate) fn concluded(&mut self, now: Instant, id: DeliveryId, ran: bool) {
        let before = self.group.len();
        self.group.retain(|member| *member != id);
        self.waiting.retain(|quarantined| quarantined.id != id);
        if before > 0 && self.group.is_empty() {
            self.group_ended(now, ran);
        }
        if self.waiting.is_empty() {
            (self.patient_until, self.is_impatient) = (None, false);
        }
    }

    fn group_ended(&mut self, now: Instant, alive: bool) {
        self.group.clear();
        self.group_until = None;
        self.survived = self.survived.saturating_add(u32::from(alive));
        self.patient_until = (!self.waiting.is_empty()).then_some(now + CAUTION);
    }

    /// The waiting suspects whose runs hold a slot.
    pub(crate) fn waiting_runs(&self) -> Vec<DeliveryId> {
        self.waiting
            .iter()
            .filter(|quarantined| quarantined.has_run)
            .map(|quarantined| quarantined.id)
            .collect()
    }

    /// The number of waiting suspects whose runs hold a slot.
    pub(crate) fn waiting_with_run(&self) -> usize {
        self.waiting.iter().filter(|quarantined| quarantined.has_run).count()
    }

    /// The number of waiting suspects.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of suspects in the group that runs now.
    pub(crate) fn running(&self) -> usize {
        self.group.len()
    }

    /// One of the suspects: of the group that runs now, or else of those that wait.
    pub(crate) fn first(&self) -> Option<DeliveryId> {
        self.group.first().copied().or_else(|| Some(self.waiting.front()?.id))
    }

    /// Returns true if the delivery is one of the group that runs now.
    pub(crate) fn runs_now(&self, id: DeliveryId) -> bool {
        self.group.contains(&id)
    }

    /// The maximum number of slots that the next group needs if its turn has come.
    pub(crate) fn wanted_slots(&self, others_run: bool) -> usize {
        if self.is_running() || others_run && !self.is_impatient {
            return 0;
        }
        self.waiting_without_run()
    }

    /// The number of waiting suspects without a run.
    pub(crate) fn waiting_without_run(&self) -> usize {
        self.waiting.iter().filter(|quarantined| !quarantined.has_run).count()
    }

    /// Returns true if nothing may start beside the running group.
    pub(crate) fn is_running(&self) -> bool {
        !self.group.is_empty()
    }

    /// Returns true if no messages should be received for now.
    pub(crate) fn is_active(&self) -> bool {
        self.is_running() || !self.waiting.is_empty()
    }

    /// Ends the time that a group has alone, or for which it waits.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.group_until.is_some_and(|until| until <= now) {
            self.group_ended(now, true);
        }
        if self.patient_until.is_some_and(|until| until <= now) {
            (self.patient_until, self.is_impatient) = (None, true);
        }
    }

    /// The time at which something changes here without an input.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.group_until.into_iter().chain(self.patient_until).min()
    }
}
