//! The jobs that relays of this process have taken and not concluded.

use std::collections::HashMap;
use std::time::Instant;

use super::super::TakenJob;
use super::taken_row::TakenRow;

/// The jobs that relays of this process have taken and not concluded. The table does not have them: that would be another write.
#[derive(Default)]
pub(super) struct InHand(HashMap<String, Taken>);

struct Taken {
    relay: String,
    position: i64,
    group: Option<String>,
    bucket: i32,
    token: i64,
    lease: String,
    until: Instant,
}

/// The jobs that a call does not take.
#[derive(Default)]
pub(super) struct Skipped {
    pub(super) positions: Vec<i64>,
    pub(super) groups: Vec<String>,
    pub(super) buckets: Vec<i32>,
}

impl InHand {
    /// Returns those of a relay, and forgets those whose time is over.
    pub(super) fn of(&mut self, relay: &str, now: Instant) -> Skipped {
        self.0.retain(|_, taken| taken.until > now);
        let mut skipped = Skipped::default();
        for taken in self.0.values().filter(|taken| taken.relay == relay) {
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
        self.0.insert(row.job.id.clone(), taken);
    }

    /// Removes a job, unless it was taken again since.
    pub(super) fn remove(&mut self, job: &TakenJob) {
        let is_this = |taken: &Taken| taken.token == job.lease.fencing_token && taken.lease == job.lease.name;
        if self.0.get(&job.job.id).is_some_and(is_this) {
            self.0.remove(&job.job.id);
        }
    }

    /// Removes those of a relay.
    pub(super) fn forget(&mut self, relay: &str) {
        self.0.retain(|_, taken| taken.relay != relay);
    }
}
