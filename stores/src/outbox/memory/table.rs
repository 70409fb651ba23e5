//! The jobs of an outbox in memory, in the order in which they were added.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::row::{Row, Taken};
use crate::outbox::conclusion::Conclusion;
use crate::outbox::job::OutboxJob;
use crate::outbox::rows::{Lag, OutboxRow, RowState, Rows};
use crate::outbox::rules::{MAX_TAKEN_BYTES, due_ms, later};
use crate::outbox::taken::{Lease, TakenJob};

/// The number of a row, in the order of adding.
pub(super) type Number = u64;

#[derive(Debug)]
pub(super) struct Table {
    keep_sent: Duration,
    rows: BTreeMap<Number, Row>,
    numbers: HashMap<String, Number>,
    next: Number,
    /// The rows that wait, including those that relays have taken.
    waiting: BTreeSet<Number>,
    /// The rows that relays have taken.
    taken: BTreeSet<Number>,
    /// The sent rows by the time of their removal.
    removals: BTreeSet<(i64, Number)>,
    fencing_token: i64,
    /// The holders of the unique keys, with the time until which they hold them.
    pub(super) keys: HashMap<String, (String, i64)>,
}

impl Table {
    pub(super) fn new(keep_sent: Duration) -> Self {
        Self {
            keep_sent,
            rows: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            waiting: BTreeSet::new(),
            taken: BTreeSet::new(),
            removals: BTreeSet::new(),
            fencing_token: 0,
            keys: HashMap::new(),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(self.numbers.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Row> {
        self.rows.get_mut(self.numbers.get(id)?)
    }

    /// Adds a job, unless its id is known.
    pub(super) fn add(&mut self, job: &OutboxJob, now: i64) {
        if self.numbers.contains_key(&job.id) {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.numbers.insert(job.id.clone(), number);
        self.waiting.insert(number);
        self.rows.insert(number, Row::new(job.clone(), now, due_ms(job.due, now)));
    }

    /// Takes due rows in the order in which they were added.
    pub(super) fn take(&mut self, relay: &str, max: usize, length: Duration, now: i64) -> Vec<TakenJob> {
        self.end_leases(now);
        let found = self.due(max, now);
        self.fencing_token += 1;
        let lease = Lease::new(relay, self.fencing_token, length);
        let until_ms = later(now, length);
        let mut jobs = Vec::with_capacity(found.len());
        for number in found {
            self.taken.insert(number);
            let row = self.rows.get_mut(&number).expect("a row that waits is there");
            row.was_taken = true;
            row.taken = Some(Taken { relay: relay.to_owned(), fencing_token: lease.fencing_token, until_ms });
            let taken = TakenJob::new(row.job.clone(), lease.clone(), row.failures);
            jobs.push(TakenJob { added_ms: Some(row.added_ms), ..taken });
        }
        jobs
    }

    /// Returns up to `max` rows that a relay may take.
    fn due(&self, max: usize, now: i64) -> Vec<Number> {
        let groups_in_hand = self.taken.iter().filter_map(|number| self.rows[number].job.group.as_deref());
        let mut stopped: HashSet<&str> = groups_in_hand.collect();
        let (mut found, mut bytes) = (Vec::new(), 0);
        for number in &self.waiting {
            if found.len() >= max || bytes >= MAX_TAKEN_BYTES {
                break;
            }
            let row = &self.rows[number];
            let group = row.job.group.as_deref();
            // A row whose own time has not come blocks nothing.
            if row.taken.is_some() || row.due_ms > now || group.is_some_and(|group| stopped.contains(group)) {
                continue;
            }
            if row.put_back_until_ms > now {
                stopped.extend(group);
                continue;
            }
            bytes += row.job.payload.len();
            found.push(*number);
        }
        found
    }

    /// Returns true if a relay may take a row now.
    pub(super) fn has_due(&self, now: i64) -> bool {
        !self.due(1, now).is_empty()
    }

    /// Returns the next time at which a further row may be due.
    pub(super) fn next_ms(&self, now: i64) -> Option<i64> {
        let times = self.waiting.iter().flat_map(|number| {
            let row = &self.rows[number];
            [row.due_ms, row.put_back_until_ms, row.taken.as_ref().map_or(0, |taken| taken.until_ms)]
        });
        times.filter(|time| *time > now).min()
    }

    /// Takes back rows from relays whose leases have ended.
    pub(super) fn end_leases(&mut self, now: i64) {
        self.give_back(|taken| taken.until_ms <= now);
    }

    /// Takes back rows from relays.
    pub(super) fn give_back(&mut self, is_meant: impl Fn(&Taken) -> bool) {
        let rows = &mut self.rows;
        self.taken.retain(|number| {
            let Some(row) = rows.get_mut(number) else { return false };
            if row.taken.as_ref().is_some_and(&is_meant) {
                row.taken = None;
            }
            row.taken.is_some()
        });
    }

    /// Returns false if the row no longer belongs to this relay.
    pub(super) fn conclude(&mut self, job: &TakenJob, conclusion: &Conclusion, now: i64) -> bool {
        let Some(number) = self.numbers.get(&job.job.id).copied() else { return false };
        let Some(row) = self.rows.get_mut(&number) else { return false };
        if row.taken.as_ref().is_none_or(|taken| taken.fencing_token != job.lease.fencing_token) {
            return false;
        }
        row.taken = None;
        self.taken.remove(&number);
        match conclusion {
            Conclusion::Later { after, is_failure, reason } => {
                row.put_back_until_ms = later(now, *after);
                row.failures += u32::from(*is_failure);
                if reason.is_some() {
                    row.reason.clone_from(reason);
                }
            }
            Conclusion::Parked { reason } => {
                row.state = RowState::Parked;
                row.reason = Some(reason.clone());
                self.waiting.remove(&number);
            }
            Conclusion::Sent { message_id } => {
                row.state = RowState::Sent;
                row.reason = None;
                row.sent_ms = Some(now);
                row.message_id = Some(message_id.clone());
                self.waiting.remove(&number);
                let held_until =
                    row.unique_key.as_ref().and_then(|key| self.keys.get(key)).map(|(_, until)| *until);
                let kept_until = later(now, self.keep_sent).max(held_until.unwrap_or_default());
                self.removals.insert((kept_until, number));
                self.remove_old(now);
            }
        }
        true
    }

    /// Removes sent rows whose retention has ended.
    pub(super) fn remove_old(&mut self, now: i64) {
        while let Some((at, number)) = self.removals.first().copied().filter(|(at, _)| *at <= now) {
            self.removals.remove(&(at, number));
            self.remove_row(number);
        }
    }

    /// Removes a row that waits or is parked. Returns false if there is none.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(number) = self.numbers.get(id).copied() else { return false };
        if self.rows[&number].state == RowState::Sent {
            return false;
        }
        self.remove_row(number);
        true
    }

    fn remove_row(&mut self, number: Number) {
        self.waiting.remove(&number);
        self.taken.remove(&number);
        let Some(row) = self.rows.remove(&number) else { return };
        self.numbers.remove(&row.job.id);
        // The key may belong to another job now.
        if let Some(key) = row.unique_key
            && self.keys.get(&key).is_some_and(|(holder, _)| *holder == row.job.id)
        {
            self.keys.remove(&key);
        }
    }

    /// Makes a parked row wait again. Returns false if there is none.
    pub(super) fn retry(&mut self, id: &str, now: i64) -> bool {
        let Some(number) = self.numbers.get(id).copied() else { return false };
        let Some(row) = self.rows.get_mut(&number).filter(|row| row.state == RowState::Parked) else {
            return false;
        };
        row.state = RowState::Waiting;
        row.reason = None;
        row.due_ms = now;
        row.put_back_until_ms = 0;
        row.failures = 0;
        self.waiting.insert(number);
        true
    }

    pub(super) fn lag(&self, now: i64) -> Lag {
        let dues = || self.waiting.iter().map(|number| self.rows[number].due_ms);
        let due = dues().filter(|due| *due <= now).count() as u64;
        let late_by = now.saturating_sub(dues().min().unwrap_or(now)).max(0);
        let parked = self.rows.values().filter(|row| row.state == RowState::Parked).count() as u64;
        Lag::new(due, Duration::from_millis(late_by.unsigned_abs()), self.waiting.len() as u64 - due, parked)
    }

    pub(super) fn shown(&self, rows: &Rows) -> Vec<OutboxRow> {
        let is_meant = |row: &&Row| {
            let is_named = rows.ids.as_ref().is_none_or(|ids| ids.contains(&row.job.id));
            is_named && rows.state.is_none_or(|state| row.state == state)
        };
        self.rows.values().filter(is_meant).take(rows.limit).map(Row::shown).collect()
    }
}
