//! The jobs of one queue that a relay has taken but not sent. No I/O, no clock.
//!
//! In a FIFO queue at most one job of a group is ready or in flight, and the others wait behind it, see [`Groups`]. In a
//! standard queue, groups do not order jobs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use drumline_store::outbox::TakenJob;
use tokio::time::Instant;

use super::deadline::Deadline;
use super::observer::FailureClass;
use super::pause::Pause;
use crate::groups::Groups;
use crate::pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outgoing};
use crate::target_queue::TargetQueue;

/// The largest number of requests in flight to a queue, as in `send_all`.
const MAX_IN_FLIGHT: usize = 8;

/// The longest pause in which jobs stay here. In a longer one they are put back, so that other queues' jobs have room.
const HOLD: Duration = Duration::from_secs(1);

/// The time after which a request counts as slow: SQS usually responds within milliseconds. While a request takes longer,
/// further jobs of its queue are put back.
const SLOW: Duration = Duration::from_secs(2);

/// A job that a relay has taken.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) taken: TakenJob,
    /// Empty while it is in flight.
    pub(super) message: Outgoing,
    pub(super) deadline: Deadline,
    /// The group, for FIFO queues.
    pub(super) group: Option<Arc<str>>,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) left_at: Instant,
    pub(super) rows: Vec<Row>,
}

/// The jobs that can leave now.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    Batch(Vec<Row>),
    /// The lease of the next jobs is about to end.
    Expired,
}

/// The jobs of one queue.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) queue: TargetQueue,
    pub(super) pause: Pause,
    /// The class of the last failure of a request.
    pub(super) failed_by: FailureClass,
    /// True if SQS has refused single jobs since it last accepted all of a request.
    pub(super) entries_fail: bool,
    ready: VecDeque<Row>,
    /// Jobs that leave in separate requests.
    alone: VecDeque<Row>,
    groups: Groups<Row>,
    /// By number, which grows.
    in_flight: BTreeMap<u64, Flight>,
}

impl Line {
    pub(super) fn new(queue: TargetQueue) -> Self {
        Self {
            queue,
            pause: Pause::default(),
            failed_by: FailureClass::Other,
            entries_fail: false,
            ready: VecDeque::new(),
            alone: VecDeque::new(),
            groups: Groups::default(),
            in_flight: BTreeMap::new(),
        }
    }

    /// Accepts a job behind all earlier ones.
    pub(super) fn enter(&mut self, row: Row) {
        let free = match row.group.clone() {
            Some(group) => self.groups.enter(&group, row),
            None => Some(row),
        };
        self.ready.extend(free);
    }

    /// Accepts jobs again that were in flight, before all others. They contain their messages again.
    pub(super) fn enter_again(&mut self, rows: Vec<Row>) {
        rows.into_iter().rev().for_each(|row| self.ready.push_front(row));
    }

    /// Accepts jobs again that must leave in separate requests.
    pub(super) fn enter_alone(&mut self, rows: Vec<Row>) {
        self.alone.extend(rows);
    }

    /// Returns the next batch, if one may leave.
    pub(super) fn next_batch(&mut self, now: Instant) -> Next {
        let most = if self.pause.is_open() { 1 } else { MAX_IN_FLIGHT };
        if self.in_flight.len() >= most || !self.pause.left(now).is_zero() {
            return Next::Nothing;
        }
        let (from, count) = if self.alone.is_empty() {
            let count = first_batch(&self.ready);
            (&mut self.ready, count)
        } else {
            (&mut self.alone, 1)
        };
        if count == 0 {
            Next::Nothing
        } else if from.iter().take(count).any(|row| row.deadline.leave_by <= now) {
            Next::Expired
        } else {
            Next::Batch(from.drain(..count).collect())
        }
    }

    /// Records that jobs have left.
    pub(super) fn leave(&mut self, number: u64, flight: Flight) {
        self.in_flight.insert(number, flight);
    }

    /// Returns the jobs of a request that has ended.
    pub(super) fn land(&mut self, number: u64) -> Option<Flight> {
        self.in_flight.remove(&number)
    }

    /// Lets the next job of a group leave after the one before it was sent or parked.
    pub(super) fn free(&mut self, group: Option<&Arc<str>>) {
        let next = group.and_then(|group| self.groups.leave(group));
        self.ready.extend(next);
    }

    /// Takes the jobs behind one of their group that is put back, and drops the group.
    pub(super) fn take_behind(&mut self, group: &Arc<str>) -> Vec<Row> {
        let behind = self.groups.take_waiting(group).into();
        self.groups.leave(group);
        behind
    }

    /// Takes all jobs that are not in flight.
    pub(super) fn sweep(&mut self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.alone.drain(..).chain(self.ready.drain(..)).collect();
        let behind = self.groups.take_all_waiting();
        for group in rows.iter().filter_map(|row| row.group.as_ref()) {
            self.groups.leave(group);
        }
        rows.extend(behind);
        rows
    }

    /// Returns the reason and the delay for putting jobs back, if the queue accepts none or is slow.
    pub(super) fn unavailable(&self, now: Instant) -> Option<(FailureClass, Duration)> {
        let left = self.pause.left(now);
        if left > HOLD {
            return Some((self.failed_by, left));
        }
        let (_, oldest) = self.in_flight.first_key_value()?;
        let is_slow = now.saturating_duration_since(oldest.left_at) >= SLOW;
        is_slow.then_some((FailureClass::Unreachable, SLOW))
    }

    /// Returns true if jobs that failed with their request stay here until the next attempt.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.pause.left(now) <= HOLD
    }

    /// Returns the next time at which a batch can leave or jobs are put back, if no event happens before.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.ready.is_empty() && self.alone.is_empty() {
            return None;
        }
        let paused = self.pause.left(now);
        let pause_ends = (!paused.is_zero()).then(|| now + paused);
        let oldest = self.in_flight.first_key_value().map(|(_, flight)| flight.left_at + SLOW);
        pause_ends.into_iter().chain(oldest).min()
    }

    /// Gives a job that is here a new lease. Returns false if it is not here.
    pub(super) fn renew(&mut self, taken: &TakenJob, deadline: Deadline) -> bool {
        let mut found = false;
        let mut renew = |row: &mut Row| {
            if row.taken.job.id == taken.job.id {
                row.taken.lease.clone_from(&taken.lease);
                row.deadline = deadline;
                found = true;
            }
        };
        self.ready.iter_mut().chain(&mut self.alone).for_each(&mut renew);
        self.groups.for_each(&mut renew);
        self.in_flight.values_mut().flat_map(|flight| &mut flight.rows).for_each(renew);
        found
    }

    /// Returns the number of jobs that can leave.
    pub(super) fn ready(&self) -> usize {
        self.ready.len() + self.alone.len()
    }

    /// Returns the number of requests in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns true if no state of the queue needs to be kept.
    pub(super) fn is_idle(&self) -> bool {
        self.ready() == 0
            && self.in_flight.is_empty()
            && self.groups.is_empty()
            && !self.pause.is_open()
            && !self.entries_fail
    }
}

/// Returns the number of jobs in the next request.
fn first_batch(ready: &VecDeque<Row>) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Row| {
        // A larger body goes to S3 before it is sent.
        bytes += row.message.bytes().min(MAX_BATCH_BYTES);
        bytes <= MAX_BATCH_BYTES
    };
    ready.iter().take(MAX_BATCH_ENTRIES).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_sqs::Client;
    use aws_sdk_sqs::config::BehaviorVersion;
    use drumline::core::Jitter;
    use drumline_store::outbox::{Lease, OutboxJob};

    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn line() -> Line {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.build());
        Line::new(TargetQueue::new(client, "https://sqs.eu-central-1.amazonaws.com/1/jobs.fifo".to_owned()))
    }

    fn row(now: Instant, id: &str, group: Option<&str>, bytes: usize) -> Row {
        let taken = TakenJob::new(OutboxJob::new(id, "work", "{}"), Lease::new("relay", 1, LEASE), 0);
        let message = Outgoing { body: "x".repeat(bytes), ..Outgoing::default() };
        Row { taken, message, deadline: Deadline::of(now, LEASE), group: group.map(Arc::from) }
    }

    fn ids(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| &*row.taken.job.id).collect()
    }

    fn batch(line: &mut Line, now: Instant) -> Vec<Row> {
        match line.next_batch(now) {
            Next::Batch(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_has_ten_jobs_and_one_mebibyte_at_most() {
        let now = Instant::now();
        let mut line = line();
        (0..12).for_each(|n| line.enter(row(now, &n.to_string(), None, 10)));
        assert_eq!((batch(&mut line, now).len(), batch(&mut line, now).len()), (10, 2));
        // The last one goes to S3 before it is sent, and leaves alone.
        for (id, bytes) in [("a", 600_000), ("b", 400_000), ("c", 100_000), ("d", 2_000_000)] {
            line.enter(row(now, id, None, bytes));
        }
        for expected in [&["a", "b"][..], &["c"], &["d"]] {
            assert_eq!(ids(&batch(&mut line, now)), expected);
        }
        assert!(matches!(line.next_batch(now), Next::Nothing));
    }

    #[test]
    fn a_group_has_one_ready_job_and_a_sweep_keeps_the_order() {
        let now = Instant::now();
        let mut line = line();
        for (id, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")] {
            line.enter(row(now, id, Some(group), 10));
        }
        let first = batch(&mut line, now);
        assert_eq!((ids(&first), line.ready()), (vec!["a1", "b1"], 0));
        line.free(first[0].group.as_ref());
        assert_eq!(ids(&batch(&mut line, now)), ["a2"]);
        line.free(first[1].group.as_ref());
        let mut swept = line.sweep();
        swept.sort_by(|a, b| a.taken.job.id.cmp(&b.taken.job.id));
        assert_eq!(ids(&swept), ["a3", "b2"], "a2 is in flight");
        line.enter(row(now, "a4", Some("a"), 10));
        assert_eq!(line.ready(), 0, "behind a2");
        line.enter(row(now, "b3", Some("b"), 10));
        assert_eq!(line.ready(), 1, "its group has nothing here any more");
    }

    #[test]
    fn jobs_are_put_back_during_a_long_pause_or_a_slow_request() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let mut line = line();
        assert_eq!(line.unavailable(now), None);
        let full = Jitter::new(u32::MAX);
        let mut time = 0;
        for expected in [None, None, None, Some(1_600), Some(3_200)] {
            line.failed_by = FailureClass::Throttled;
            line.pause.failed(at(time), at(time), None, full);
            let found = line.unavailable(at(time)).map(|(class, after)| (class, after.as_millis()));
            assert_eq!(found, expected.map(|ms| (FailureClass::Throttled, ms)), "{time}");
            assert_eq!(line.holds(at(time)), expected.is_none());
            time += 60_000;
        }
        line.pause.succeeded(at(time));
        line.leave(1, Flight { left_at: at(time), rows: vec![row(now, "1", None, 1)] });
        assert_eq!(line.unavailable(at(time + 1_999)), None);
        assert_eq!(line.unavailable(at(time + 2_000)), Some((FailureClass::Unreachable, SLOW)));
    }

    #[test]
    fn no_job_leaves_under_a_lease_that_soon_ends() {
        let now = Instant::now();
        let mut line = line();
        line.enter(row(now, "1", None, 1));
        assert!(matches!(line.next_batch(now + LEASE * 2 / 3), Next::Expired));
        assert!(matches!(line.next_batch(now + LEASE * 2 / 3 - Duration::from_millis(1)), Next::Batch(_)));
    }
}
