//! Jobs that wait: for their time, or for a key that one job holds at a time.
//!
//! - [`due`]: the time when a job is due, and the delays that SQS can handle by itself
//! - [`wait`]: the places where jobs wait, and the stored form of a job; [`servers`] connects to them
//! - [`held`]: the key of a unique job, and how it is taken from a job that no longer needs it
//! - [`keep`]: puts jobs into their places; [`not_kept`] is the reason why that failed

mod due;
mod held;
mod keep;
mod not_kept;
mod servers;
mod wait;

#[cfg(feature = "scheduler")]
pub(crate) use due::time_of;
pub(crate) use held::Held;
pub(crate) use keep::{keep, keep_all};
#[cfg(feature = "scheduler")]
pub(crate) use not_kept::NotKept;
pub(crate) use servers::{OutboxServer, StoreServer};
pub(crate) use wait::{Destination, Places, Wait};
