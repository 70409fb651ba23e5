//! The causes why a queue runs no job.

use drumline::core::SqsErrorKind;

/// The cause why a queue runs no job, or that it runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Jobs are running.
    Running,
    /// The worker drains.
    Draining,
    /// The loop of the queue is about to start.
    Starting,
    /// The queue does not exist.
    Missing,
    /// The queue is paused.
    Paused,
    /// Receives fail with this kind of error, such as a missing permission or no connection to SQS.
    ReceivesFail(SqsErrorKind),
    /// Receives do not end.
    ReceivesHang,
    /// The messages in hand wait for limits of their types.
    Limit,
    /// The messages in hand wait for locks.
    Lock,
    /// Messages in hand may have killed a process: they run alone, or wait for that, and the queue starts nothing else.
    Alone,
    /// There is no free slot: other queues use them.
    Slot,
    /// The messages in hand wait for others of their message group.
    Group,
    /// The messages in hand wait until SQS confirms their outcome.
    Settling,
    /// The queue has no message.
    Empty,
    /// The queue has only delayed messages.
    Delayed,
    /// The messages of the queue are in flight: other workers have them, or they are hidden until their retry.
    InFlight,
    /// The queue has visible messages, which will be received next.
    Visible,
}

impl Cause {
    /// Returns true if messages would have to wait, and an operator may have to act.
    pub fn hinders(self) -> bool {
        match self {
            Self::Missing
            | Self::Paused
            | Self::ReceivesFail(_)
            | Self::ReceivesHang
            | Self::Limit
            | Self::Lock
            | Self::Alone
            | Self::Slot
            | Self::Group
            | Self::Settling => true,
            Self::Running
            | Self::Draining
            | Self::Starting
            | Self::Empty
            | Self::Delayed
            | Self::InFlight
            | Self::Visible => false,
        }
    }
}
