//! The jobs that a relay has taken but not concluded: decides the batches, their times, and the consequences of responses. No
//! I/O, no clock.
//!
//! 1. Up to ten jobs of a queue, with at most 1 MiB, leave in one request, and at most eight requests to a queue are in flight.
//! 2. In a FIFO queue at most one job of a group is in flight. If it fails, the jobs behind it are put back with it, and so is
//!    every later job that arrives until the outbox has confirmed this; after that, the outbox itself holds them back. A parked
//!    job blocks no other.
//! 3. No job leaves under a lease that has ended or is about to end: it is put back.
//! 4. A request that fails as a whole pauses its queue, longer with each failure. In a short pause its jobs wait here; in a
//!    longer pause, or while the queue is slow, they are put back, so that other queues can continue.
//! 5. A job whose response is lost is sent again with the same ids.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use drumline::core::Jitter;
use drumline_store::outbox::{Conclusion, TakenJob};
use tokio::time::Instant;

use super::arrived::{Arrived, Preparation};
use super::backlog_line::{Flight, Line, Next, Row};
use super::deadline::Deadline;
use super::judgement::{Entry, Judgement, QueueFailure, judge};
use super::notice::Notice;
use super::observer::{FailureClass, ParkedClass};
use super::pause::wait_after;
use crate::pack::Outgoing;
use crate::send::Reply;
use crate::target_queue::TargetQueue;

/// The number of conclusions that is worth a call immediately.
const MANY: usize = 500;

/// The longest time that a conclusion waits for others to share its call. If a relay is killed, the jobs of this time are sent
/// twice.
const LINGER: Duration = Duration::from_millis(25);

/// The number of characters of a reason that an outbox keeps: an operator reads it in a table.
const MAX_REASON: usize = 1_000;

/// A request to send now.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) number: u64,
    pub(super) queue: TargetQueue,
    pub(super) messages: Vec<Outgoing>,
    /// The time after which the response is no longer awaited.
    pub(super) ends: Instant,
}

/// The jobs that a relay has taken but not concluded.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By the URLs of the queues.
    lines: BTreeMap<String, Line>,
    /// The ids of all jobs without a confirmed conclusion.
    in_hand: HashSet<String>,
    /// The groups of FIFO queues with jobs that are put back without a confirmation, and the wait of these jobs.
    held: HashMap<Arc<str>, Duration>,
    /// The same as `held`, with conclusions in flight.
    held_in_call: HashMap<Arc<str>, Duration>,
    concluded: Vec<(TakenJob, Conclusion)>,
    concluded_since: Option<Instant>,
    requests: u64,
    notices: Vec<Notice>,
}

impl Backlog {
    /// Accepts taken jobs in their order.
    pub(super) fn accept(&mut self, now: Instant, arrived: Vec<Arrived>, jitter: Jitter) {
        for Arrived { taken, deadline, preparation } in arrived {
            if !self.in_hand.insert(taken.job.id.clone()) {
                self.renew(&taken, deadline);
                continue;
            }
            match preparation {
                Preparation::Ready(queue, message) => self.enter(now, taken, deadline, queue, *message),
                Preparation::Refused { queue, class, reason } => {
                    self.park(now, queue, class, taken, &reason);
                }
                Preparation::NotNow { class } => self.look_up_later(now, class, taken, jitter),
            }
        }
    }

    fn enter(
        &mut self,
        now: Instant,
        taken: TakenJob,
        deadline: Deadline,
        queue: TargetQueue,
        message: Outgoing,
    ) {
        let group = message.group.clone().filter(|_| queue.is_fifo());
        let held = group.as_ref().and_then(|group| self.held.get(group).or(self.held_in_call.get(group)));
        let held = held.copied();
        let line = self.lines.entry(queue.url().to_owned()).or_insert_with(|| Line::new(queue));
        let row = Row { taken, message, deadline, group };
        let (class, after) = match (line.unavailable(now), held) {
            (None, None) => return line.enter(row),
            (None, Some(after)) => (line.failed_by, after),
            (Some((class, after)), held) => (class, held.unwrap_or(after)),
        };
        let name = line.queue.name().to_owned();
        self.put_back(now, &name, class, after, vec![row]);
    }

    /// Gives a job that is already here the new lease under which it was taken again.
    fn renew(&mut self, taken: &TakenJob, deadline: Deadline) {
        let is_in_line = self.lines.values_mut().any(|line| line.renew(taken, deadline));
        if !is_in_line
            && let Some((job, _)) = self.concluded.iter_mut().find(|(job, _)| job.job.id == taken.job.id)
        {
            job.lease.clone_from(&taken.lease);
        }
    }

    /// Returns the next request that leaves now.
    pub(super) fn next_departure(&mut self, now: Instant) -> Option<Departure> {
        let mut expired = Vec::new();
        let mut departure = None;
        for line in self.lines.values_mut() {
            match line.next_batch(now) {
                Next::Nothing => {}
                Next::Expired => expired.push((line.queue.name().to_owned(), line.sweep())),
                Next::Batch(mut rows) => {
                    let messages = rows.iter_mut().map(|row| std::mem::take(&mut row.message)).collect();
                    let ends = rows.iter().map(|row| row.deadline.ends).min().unwrap_or(now);
                    let number = self.requests;
                    self.requests += 1;
                    line.leave(number, Flight { left_at: now, rows });
                    departure = Some(Departure { number, queue: line.queue.clone(), messages, ends });
                    break;
                }
            }
        }
        for (queue, rows) in expired {
            self.put_back(now, &queue, FailureClass::LeaseEnded, Duration::ZERO, rows);
        }
        departure
    }

    /// Puts back the jobs of queues that accept none or are slow.
    pub(super) fn put_back_unavailable(&mut self, now: Instant) {
        let mut swept = Vec::new();
        for line in self.lines.values_mut().filter(|line| line.ready() > 0) {
            if let Some((class, after)) = line.unavailable(now) {
                swept.push((line.queue.name().to_owned(), class, after, line.sweep()));
            }
        }
        for (queue, class, after, rows) in swept {
            self.put_back(now, &queue, class, after, rows);
        }
    }

    /// Processes the response to a request. `messages` are those of the request; empty if the request was aborted.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        queue: &TargetQueue,
        number: u64,
        messages: Vec<Outgoing>,
        reply: Reply,
        jitter: Jitter,
    ) {
        let Some(line) = self.lines.get_mut(queue.url()) else { return };
        let Some(Flight { left_at, mut rows }) = line.land(number) else { return };
        let has_messages = messages.len() == rows.len();
        rows.iter_mut().zip(messages).for_each(|(row, message)| row.message = message);
        match judge(reply, rows.len()) {
            Judgement::Entries(entries) => self.conclude_each(now, queue, left_at, rows, entries, jitter),
            Judgement::Split => line.enter_alone(rows),
            Judgement::Queue(failure) => {
                self.queue_failed(now, queue, left_at, rows, has_messages, failure, jitter);
            }
        }
        self.put_back_unavailable(now);
        if self.lines.get(queue.url()).is_some_and(Line::is_idle) {
            self.lines.remove(queue.url());
        }
    }

    fn conclude_each(
        &mut self,
        now: Instant,
        queue: &TargetQueue,
        left_at: Instant,
        rows: Vec<Row>,
        entries: Vec<Entry>,
        jitter: Jitter,
    ) {
        let Some(line) = self.lines.get_mut(queue.url()) else { return };
        if line.pause.succeeded(left_at) {
            self.notices.push(Notice::QueueRecovers { queue: queue.name().to_owned() });
        }
        let failed = entries.iter().find_map(|entry| match entry {
            Entry::Failed(class, reason) => Some((*class, reason.clone())),
            _ => None,
        });
        if let Some((class, reason)) = failed.clone().filter(|_| !line.entries_fail) {
            self.notices.push(Notice::EntriesFail { queue: queue.name().to_owned(), class, reason });
        }
        line.entries_fail = failed.is_some();
        let mut sent = 0;
        let unanswered = || Entry::Failed(FailureClass::InDoubt, "the answer does not mention it".to_owned());
        let entries = entries.into_iter().chain(std::iter::repeat_with(unanswered));
        for (row, entry) in rows.into_iter().zip(entries) {
            match entry {
                Entry::Sent(message_id) => {
                    sent += 1;
                    self.free(queue, &row);
                    self.conclude(now, row.taken, Conclusion::Sent { message_id });
                }
                Entry::Refused(reason) => {
                    self.free(queue, &row);
                    let name = Some(queue.name().to_owned());
                    self.park(now, name, ParkedClass::RefusedBySqs, row.taken, &reason);
                }
                Entry::Failed(class, reason) => self.entry_failed(now, queue, row, (class, reason), jitter),
            }
        }
        if sent > 0 {
            self.notices.push(Notice::Sent { queue: queue.name().to_owned(), jobs: sent });
        }
    }

    fn free(&mut self, queue: &TargetQueue, row: &Row) {
        if let Some(line) = self.lines.get_mut(queue.url()) {
            line.free(row.group.as_ref());
        }
    }

    /// Puts back a job that SQS has not accepted, and the jobs behind it.
    fn entry_failed(
        &mut self,
        now: Instant,
        queue: &TargetQueue,
        row: Row,
        (class, reason): (FailureClass, String),
        jitter: Jitter,
    ) {
        let after = wait_after(row.taken.failures.saturating_add(1), jitter);
        let line = self.lines.get_mut(queue.url());
        let behind = line.zip(row.group.as_ref()).map(|(line, group)| line.take_behind(group));
        self.hold(row.group.as_ref(), after);
        self.conclude(
            now,
            row.taken,
            Conclusion::Later { after, is_failure: true, reason: Some(shown(&reason)) },
        );
        let jobs = 1;
        self.notices.push(Notice::PutBack { queue: Some(queue.name().to_owned()), class, jobs });
        self.put_back(now, queue.name(), class, after, behind.unwrap_or_default());
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one answer")]
    fn queue_failed(
        &mut self,
        now: Instant,
        queue: &TargetQueue,
        left_at: Instant,
        rows: Vec<Row>,
        has_messages: bool,
        failure: QueueFailure,
        jitter: Jitter,
    ) {
        let Some(line) = self.lines.get_mut(queue.url()) else { return };
        let QueueFailure { class, reason, retry_after } = failure;
        line.failed_by = class;
        if line.pause.failed(now, left_at, retry_after, jitter) {
            let (queue, pause) = (queue.name().to_owned(), line.pause.left(now));
            self.notices.push(Notice::QueueFails { queue, class, reason, pause });
        }
        if has_messages && line.holds(now) {
            let (queue, jobs) = (Some(queue.name().to_owned()), rows.len() as u64);
            self.notices.push(Notice::PutBack { queue, class, jobs });
            line.enter_again(rows);
            return;
        }
        let after = line.pause.left(now);
        let mut behind = Vec::new();
        for group in rows.iter().filter_map(|row| row.group.as_ref()) {
            behind.extend(line.take_behind(group));
        }
        self.put_back(now, queue.name(), class, after, rows.into_iter().chain(behind).collect());
    }

    /// Puts back a job whose queue cannot be looked up. The queue may be a FIFO queue.
    fn look_up_later(&mut self, now: Instant, class: FailureClass, taken: TakenJob, jitter: Jitter) {
        let after = wait_after(taken.failures.saturating_add(1), jitter);
        self.hold(taken.job.group.as_deref().map(Arc::from).as_ref(), after);
        let reason = Some(format!("its queue cannot be looked up: {}", class.label()));
        self.conclude(now, taken, Conclusion::Later { after, is_failure: true, reason });
        self.notices.push(Notice::PutBack { queue: None, class, jobs: 1 });
    }

    /// Puts back jobs that have not failed themselves.
    fn put_back(&mut self, now: Instant, queue: &str, class: FailureClass, after: Duration, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        let jobs = rows.len() as u64;
        self.notices.push(Notice::PutBack { queue: Some(queue.to_owned()), class, jobs });
        for row in rows {
            self.hold(row.group.as_ref(), after);
            let reason = Some(format!("queue {queue}: {}", class.label()));
            self.conclude(now, row.taken, Conclusion::Later { after, is_failure: false, reason });
        }
    }

    fn hold(&mut self, group: Option<&Arc<str>>, after: Duration) {
        if let Some(group) = group {
            self.held.insert(Arc::clone(group), after);
        }
    }

    fn park(
        &mut self,
        now: Instant,
        queue: Option<String>,
        class: ParkedClass,
        taken: TakenJob,
        reason: &str,
    ) {
        let reason = shown(reason);
        let (job_id, job_type) = (taken.job.id.clone(), taken.job.job_type.clone());
        self.notices.push(Notice::Parked { queue, class, job_id, job_type, reason: reason.clone() });
        self.conclude(now, taken, Conclusion::Parked { reason });
    }

    fn conclude(&mut self, now: Instant, taken: TakenJob, conclusion: Conclusion) {
        self.concluded.push((taken, conclusion));
        self.concluded_since.get_or_insert(now);
    }

    /// Returns the time at which conclusions should be sent to the outbox; `None` if there are none.
    pub(super) fn conclude_at(&self, now: Instant) -> Option<Instant> {
        let since = self.concluded_since?;
        let is_quiet = self.lines.values().all(|line| line.in_flight() == 0);
        Some(if is_quiet || self.concluded.len() >= MANY { now } else { since + LINGER })
    }

    /// Returns the conclusions to send to the outbox now.
    pub(super) fn take_conclusions(&mut self) -> Vec<(TakenJob, Conclusion)> {
        self.concluded_since = None;
        self.held_in_call.extend(self.held.drain());
        std::mem::take(&mut self.concluded)
    }

    /// Records that the outbox has confirmed conclusions. `are_all` is true if they are the last of the call.
    pub(super) fn confirmed(&mut self, concluded: &[(TakenJob, Conclusion)], are_all: bool) {
        if are_all {
            self.held_in_call.clear();
        }
        for (taken, _) in concluded {
            self.in_hand.remove(&taken.job.id);
        }
    }

    /// Drops all jobs that are neither in flight nor concluded.
    pub(super) fn forget_unsent(&mut self) {
        for line in self.lines.values_mut() {
            for row in line.sweep() {
                self.in_hand.remove(&row.taken.job.id);
            }
        }
    }

    /// Returns the time of the next action other than a conclusion, if no event happens before.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.lines.values().filter_map(|line| line.wake_at(now)).min()
    }

    /// Returns the number of jobs that can leave.
    pub(super) fn ready(&self) -> usize {
        self.lines.values().map(Line::ready).sum()
    }

    /// Returns the number of jobs without a confirmed conclusion.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.len()
    }

    /// Returns the events since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}

/// Shortens a reason for the outbox.
fn shown(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(MAX_REASON).collect()
}
