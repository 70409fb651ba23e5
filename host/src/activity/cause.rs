//! The causes for which a queue runs nothing.

use drumline::core::SqsErrorKind;

/// The cause for which a queue runs nothing, or that it runs jobs.
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
    /// Receives fail with such an error: a missing permission, or SQS is out of reach.
    ReceivesFail(SqsErrorKind),
    /// Receives do not end.
    ReceivesHang,
    /// The messages in hand wait for limits of their types.
    Limit,
    /// The messages in hand wait for locks.
    Lock,
    /// The messages in hand may have killed a process, and wait to run alone.
    Alone,
    /// There is no slot: other queues use them.
    Slot,
    /// The messages in hand wait for others of their message group.
    Group,
    /// The messages in hand wait until SQS confirms their outcome.
    Settling,
    /// The queue has no message.
    Empty,
    /// The queue has delayed messages only.
    Delayed,
    /// The messages of the queue are in flight: other workers have them, or they are hidden until their retry.
    InFlight,
    /// The queue has visible messages, which are about to be received.
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
