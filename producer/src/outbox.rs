//! Jobs that are sent if and only if their cause is committed.
//!
//! A job is added to an [outbox](drumline_store::outbox) in the transaction of its cause, and a [`Relay`] sends it after the
//! transaction is committed. SQS may receive a job twice, after a lost response or the end of a relay; it then has the same
//! `jobId`, and on a FIFO queue the same deduplication id, so that its effect happens once.
//!
//! | part | decides |
//! |---|---|
//! | [`job`], `enqueue` | which jobs may be added: all checks of a producer, before the transaction is committed |
//! | `message` | the message of a job; both sides use the same function |
//! | `judgement` | the meaning of SQS's response for each job of a request |
//! | `backlog` | the batches and their times; the order of groups; the jobs that are put back |
//! | [`Relay`] | nothing: it performs the others' decisions |

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
