#![doc = include_str!("../README.md")]

mod attributes;
mod check;
mod new_job;
mod pack;
mod send;

pub use attributes::{Attributes, attribute, attributes};
pub use check::check;
pub use new_job::NewJob;
pub use pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outgoing, Packer};
pub use send::{InDoubt, RESEND_WAIT, SendError, SendOptions, Sent, send_batch};
