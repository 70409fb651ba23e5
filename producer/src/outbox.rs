//! Jobs that are sent if, and only if, their cause is there.
//!
//! A job is added to an [outbox](drumline_store::outbox) in the transaction of its cause, and a [`Relay`] sends it afterwards, once the
//! transaction is committed. SQS may get a job twice, after a lost answer or the end of a relay; it has the same `jobId` then, and the
//! same deduplication id on a FIFO queue, so that it is one job by effect.
//!
//! | part | decides |
//! |---|---|
//! | [`job`], `enqueue` | what may be added: all checks of a producer, before the transaction is committed |
//! | `message` | the message of a job, by the same function for both sides |
//! | `judgement` | what an answer of SQS means for each job of a request |
//! | `backlog` | which jobs leave together, and when; the order of groups; what is put back |
//! | [`Relay`] | nothing: it performs what the others decide |

mod arrived;
mod backlog;
mod backlog_line;

mod concluding;
mod deadline;
#[cfg(feature = "postgres")]
mod enqueue;
mod intake;
mod judgement;
pub(crate) mod message;
mod new_job;
mod notice;
mod observer;
mod pause;
mod preparer;
mod queues;
mod relay;
mod report;
mod run;
#[cfg(test)]
mod run_properties;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod scripted_sqs;

#[cfg(feature = "postgres")]
pub use enqueue::{EnqueueError, enqueue};
pub use new_job::job;
pub use observer::{FailureClass, ParkedClass, RelayObserver, RelaySummary};
pub use relay::Relay;
