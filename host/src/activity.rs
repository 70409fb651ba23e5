//! The activity of a worker, or the reason why it runs no job, in one sentence.
//!
//! The sentence is computed here, from facts that the loops of the queues, the limits and SQS report. `/readyz?verbose`, the log and
//! `drumline status` show it.

mod cause;
mod depth_clause;
mod failing_clause;
mod in_hand_clause;
mod suspects_clause;

use std::sync::Arc;
use std::time::Instant;

use drumline::core::{InHandCounts, PauseReason, Suspects, TypeSnapshot};

use crate::status::{QueueStatus, ReceiveProblem};
use crate::waiting_for::{MAX_NAMED, plural, waiting_for};

pub use cause::Cause;
pub use depth_clause::QueueDepth;

/// The facts about a worker that decide if jobs run.
#[derive(Debug, Clone, Default)]
pub struct WorkerActivity {
    /// True while the worker drains: it receives no more messages.
    pub is_draining: bool,
    /// Its queues.
    pub queues: Vec<QueueActivity>,
    /// The limits of its job types.
    pub types: Vec<TypeSnapshot>,
}

/// The facts about a queue that decide if its jobs run.
#[derive(Debug, Clone, Default)]
pub struct QueueActivity {
    /// The queue's name.
    pub queue: String,
    /// True if the queue did not exist at the last check.
    pub is_missing: bool,
    /// The messages in hand by the cause of their wait; `None` before the first turn of the queue's loop.
    pub counts: Option<InHandCounts>,
    /// The messages that may have killed a process, while they keep others waiting.
    pub suspects: Option<Suspects>,
    /// True if a receive is open that may return messages.
    pub is_receiving: bool,
    /// True if the queue can be reached, and its receives end in time.
    pub is_healthy: bool,
    /// The reasons why the queue is not received from.
    pub pauses: Vec<PauseReason>,
    /// The reason why the target is unhealthy.
    pub target_problem: Option<Arc<str>>,
    /// The operator who has paused the queue, with the reason.
    pub paused_by: Option<String>,
    /// The failure of the receives, if the last one has failed.
    pub receive_problem: Option<ReceiveProblem>,
    /// The numbers of messages in the queue, if they are known.
    pub depth: Option<QueueDepth>,
}

/// The activity of a worker, or the reason why it runs no job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One sentence, such as `nothing is running: jobs is paused by an operator`.
    pub sentence: String,
    /// The number of running jobs.
    pub running: usize,
    /// The cause of each queue.
    pub causes: Vec<(String, Cause)>,
}

impl Explanation {
    /// Returns true if no job runs and a queue is hindered: if there were messages, its jobs would not start. Also true if a queue
    /// starts nothing beside a job that may have killed a process.
    pub fn is_hindered(&self) -> bool {
        let hinders = |cause: Cause| cause == Cause::Alone || self.running == 0 && cause.hinders();
        self.causes.iter().any(|(_, cause)| hinders(*cause))
    }

    /// Returns true if the worker drains.
    pub fn is_draining(&self) -> bool {
        self.causes.iter().any(|(_, cause)| *cause == Cause::Draining)
    }
}

impl WorkerActivity {
    /// Removes texts of operators and of AWS, and IDs of jobs, which not every client may read.
    #[must_use]
    pub fn without_quotes(mut self) -> Self {
        for queue in &mut self.queues {
            queue.paused_by = None;
            if let Some(suspects) = &mut queue.suspects {
                (suspects.message_id, suspects.job_id) = (Arc::default(), None);
            }
            if let Some(problem) = &mut queue.receive_problem {
                problem.text = Arc::default();
            }
        }
        self
    }

    /// Returns what the worker does, or why it runs nothing.
    ///
    /// ```
    /// use drumline::core::PauseReason;
    /// use drumline_runtime::activity::{QueueActivity, WorkerActivity};
    /// # #[allow(clippy::disallowed_methods)]
    /// let now = std::time::Instant::now();
    /// let queue = QueueActivity {
    ///     queue: "jobs".to_owned(),
    ///     counts: Some(Default::default()),
    ///     pauses: vec![PauseReason::Operator],
    ///     ..QueueActivity::default()
    /// };
    /// let worker = WorkerActivity { queues: vec![queue], ..WorkerActivity::default() };
    /// assert_eq!(worker.explain(now).sentence, "nothing is running: jobs is paused by an operator");
    /// ```
    pub fn explain(&self, now: Instant) -> Explanation {
        let running = self.queues.iter().map(QueueActivity::running).sum();
        if self.is_draining {
            return self.draining(running);
        }
        let limits = waiting_for(&self.types, now);
        let (mut causes, mut reasons) = (Vec::new(), Vec::new());
        for queue in &self.queues {
            let (cause, reason) = queue.explain(now);
            // The limits are named once, behind the queues.
            let is_named = cause == Cause::Limit && limits.is_some();
            if cause != Cause::Running && !is_named && (running == 0 || cause.hinders()) {
                reasons.push(reason);
            }
            causes.push((queue.queue.clone(), cause));
        }
        let more = reasons.len().saturating_sub(MAX_NAMED);
        reasons.truncate(MAX_NAMED);
        if more > 0 {
            reasons.push(format!("{more} more queue{}", plural(more)));
        }
        reasons.extend(limits);
        let reasons = reasons.join("; ");
        let sentence = match (running, reasons.is_empty()) {
            (0, true) => "nothing is running".to_owned(),
            (0, false) => format!("nothing is running: {reasons}"),
            (_, true) => are_running(running),
            (_, false) => format!("{}; {reasons}", are_running(running)),
        };
        Explanation { sentence, running, causes }
    }

    fn draining(&self, running: usize) -> Explanation {
        let in_hand = |queue: &QueueActivity| queue.counts.map_or(0, |counts| counts.all());
        let others = self.queues.iter().map(in_hand).sum::<usize>() - running;
        let drains = match others {
            0 => "the worker drains, and receives nothing more".to_owned(),
            _ => format!("the worker drains, and settles {others} message{}", plural(others)),
        };
        let sentence = match running {
            0 => format!("nothing is running: {drains}"),
            _ => format!("{}; {drains}", are_running(running)),
        };
        let causes = self.queues.iter().map(|queue| (queue.queue.clone(), Cause::Draining));
        Explanation { sentence, running, causes: causes.collect() }
    }
}

impl QueueActivity {
    /// The facts that the loop of a queue reports.
    pub fn of(queue: &str, status: &QueueStatus) -> Self {
        Self {
            queue: queue.to_owned(),
            is_missing: status.is_missing(),
            counts: status.counts(),
            suspects: status.suspects(),
            is_receiving: status.is_receiving(),
            is_healthy: status.is_healthy(),
            pauses: status.pauses(),
            target_problem: status.target_problem(),
            paused_by: None,
            receive_problem: status.receive_problem(),
            depth: None,
        }
    }

    fn running(&self) -> usize {
        self.counts.map_or(0, |counts| counts.running)
    }

    /// Returns the cause, and a clause about it.
    fn explain(&self, now: Instant) -> (Cause, String) {
        let queue = &self.queue;
        let Some(counts) = self.counts else {
            return if self.is_missing {
                (Cause::Missing, format!("{queue} does not exist, and is consumed once it is created"))
            } else {
                (Cause::Starting, format!("{queue} is about to start"))
            };
        };
        if !self.pauses.is_empty() {
            return (Cause::Paused, self.paused(&counts));
        }
        if let Some(suspects) = &self.suspects {
            return (Cause::Alone, suspects_clause::explain(queue, suspects, &counts, now));
        }
        if counts.running > 0 {
            return (Cause::Running, String::new());
        }
        if let Some(explained) = in_hand_clause::explain(queue, &counts) {
            return explained;
        }
        if let Some(problem) = &self.receive_problem {
            return (Cause::ReceivesFail(problem.kind), failing_clause::failing(queue, problem, now));
        }
        if !self.is_healthy {
            return (Cause::ReceivesHang, format!("the receives from {queue} do not end"));
        }
        if counts.slots == 0 && !self.is_receiving {
            return (Cause::Slot, format!("{queue} has no slot: other queues use all of them"));
        }
        depth_clause::explain(queue, self.is_receiving, self.depth)
    }
}

fn are_running(running: usize) -> String {
    format!("{running} job{} {} running", plural(running), if running == 1 { "is" } else { "are" })
}

impl QueueActivity {
    /// Returns the reasons of the queue's pauses, and the state of the messages in hand.
    fn paused(&self, counts: &InHandCounts) -> String {
        let reasons: Vec<String> = self.pauses.iter().map(|reason| self.reason(*reason)).collect();
        let in_hand = match counts.all() {
            0 => String::new(),
            count => format!(", with {count} message{} in hand", plural(count)),
        };
        format!("{} is paused {}{in_hand}", self.queue, reasons.join(", and "))
    }

    fn reason(&self, reason: PauseReason) -> String {
        let because = match reason {
            PauseReason::StoreDown => "the store does not answer",
            PauseReason::TargetUnhealthy => match &self.target_problem {
                Some(problem) => return format!("because the target is unhealthy ({problem})"),
                None => "the target is unhealthy",
            },
            PauseReason::OutOfResources => "the process lacks memory, disk space or file descriptors",
            PauseReason::BreakerOpen => "too many jobs in a row have failed",
            PauseReason::Operator => {
                return match &self.paused_by {
                    Some(by) => format!("by an operator ({by})"),
                    None => "by an operator".to_owned(),
                };
            }
            other => other.label(),
        };
        format!("because {because}")
    }
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
