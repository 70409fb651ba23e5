//! Outboxes: jobs wait there until SQS has confirmed them.
//!
//! A job is added to an outbox together with its cause, in one transaction or in one atomic call, and a relay sends it
//! afterwards: the job exists if and only if its cause exists. Jobs that are due later, jobs of timetables and unique jobs wait
//! there, too.
//!
//! An outbox contains no policy: the relay decides when to send which job, and what follows from a response of SQS.

mod added;
mod conclusion;
mod interface;
mod job;
mod memory;
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
mod rows;
mod rules;
mod taken;
mod unique;

pub use self::added::Added;
pub use self::conclusion::Conclusion;
pub use self::interface::{Answer, Outbox};
pub use self::job::{Due, OutboxJob};
pub use self::memory::MemoryOutbox;
pub use self::open::{open, open_to_add};
pub use self::rows::{Lag, OutboxRow, RowState, Rows};
pub use self::taken::{Lease, TakenJob};
pub use self::unique::{OnConflict, Unique};
