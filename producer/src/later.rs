//! Jobs that wait: for their time, or for a key that one job holds at a time.
//!
//! - [`due`]: when a job is due, and what SQS can delay by itself
//! - [`wait`]: the places in which jobs wait, and a job as it is kept there; [`servers`] connects to them
//! - [`held`]: the key of a unique job, and how it is taken from one that needs it no longer
//! - [`keep`]: jobs into their places; [`not_kept`] is the reason for which one is not there

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
