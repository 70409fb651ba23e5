//! The jobs that relays of this process have taken but not concluded.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::super::{Conclusion, TakenJob};
use super::taken_row::TakenRow;

/// The largest number of conclusions that wait here for the locks of their rows.
const MAX_LOCKED: usize = 1_000;

/// The jobs that relays of this process have taken but not concluded. The table does not record them, because that would be
/// another write.
#[derive(Default)]
pub(super) struct InHand {
    taken: HashMap<String, Taken>,
    /// Conclusions that are not written because their rows are locked. Their jobs have no payloads.
    locked: Vec<(TakenJob, Conclusion)>,
}

struct Taken {
    relay: String,
    position: i64,
    group: Option<String>,
    bucket: i32,
    token: i64,
    lease: String,
    until: Instant,
}

/// The jobs that a call must not take.
#[derive(Default)]
pub(super) struct Skipped {
    pub(super) positions: Vec<i64>,
    pub(super) groups: Vec<String>,
    pub(super) buckets: Vec<i32>,
}

impl InHand {
    /// Returns the jobs of a relay, and removes those whose time is over.
    pub(super) fn of(&mut self, relay: &str, now: Instant) -> Skipped {
        let Self { taken, locked } = self;
        // A job whose conclusion waits was already handled by a relay, which would send it again.
        let locked: HashSet<&str> = locked.iter().map(|(job, _)| &*job.job.id).collect();
        taken.retain(|id, taken| taken.until > now || locked.contains(&**id));
        let mut skipped = Skipped::default();
        for taken in self.taken.values().filter(|taken| taken.relay == relay) {
            skipped.positions.push(taken.position);
            skipped.groups.extend(taken.group.clone());
            skipped.buckets.push(taken.bucket);
        }
        skipped.groups.sort_unstable();
        skipped.groups.dedup();
        skipped.buckets.sort_unstable();
        skipped.buckets.dedup();
        skipped
    }

    pub(super) fn add(&mut self, relay: &str, row: &TakenRow, until: Instant) {
        let taken = Taken {
            relay: relay.to_owned(),
            position: row.position,
            group: row.job.group.clone(),
            bucket: row.bucket,
            token: row.token,
            lease: row.lease_name(),
            until,
        };
        self.taken.insert(row.job.id.clone(), taken);
    }

    /// Removes a job, unless it was taken again since.
    fn remove(&mut self, job: &TakenJob) {
        let is_this = |taken: &Taken| taken.token == job.lease.fencing_token && taken.lease == job.lease.name;
        if self.taken.get(&job.job.id).is_some_and(is_this) {
            self.taken.remove(&job.job.id);
        }
    }

    /// Removes the jobs of a relay.
    pub(super) fn forget(&mut self, relay: &str) {
        let Self { taken, locked } = self;
        taken.retain(|_, taken| taken.relay != relay);
        locked.retain(|(job, _)| taken.contains_key(&job.job.id));
    }

    /// Returns the conclusions that are not written because their rows were locked.
    pub(super) fn locked(&self) -> &[(TakenJob, Conclusion)] {
        &self.locked
    }

    /// Removes concluded jobs, and keeps the conclusions of those whose rows are `locked`. Returns the number of conclusions
    /// for which there is no room.
    pub(super) fn concluded(
        &mut self,
        concluded: &[&(TakenJob, Conclusion)],
        locked: &HashSet<String>,
    ) -> usize {
        if !self.locked.is_empty() {
            let ids: HashSet<&str> = concluded.iter().map(|(job, _)| &*job.job.id).collect();
            self.locked.retain(|(job, _)| !ids.contains(&*job.job.id));
        }
        let mut without_room = 0;
        for (job, conclusion) in concluded {
            if !locked.contains(&job.job.id) {
                self.remove(job);
            } else if self.locked.len() < MAX_LOCKED {
                let mut job = job.clone();
                job.job.payload = String::new();
                self.locked.push((job, conclusion.clone()));
            } else {
                without_room += 1;
            }
        }
        without_room
    }
}
