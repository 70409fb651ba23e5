//! The sending side: a job becomes a message that SQS takes and a consumer understands, or is refused with words before
//! anything is sent.
//!
//! [`NewJob`] makes the body, [`check`] accepts or refuses it, [`Packer`] fills batches, and [`send_batch`] sends them until
//! every entry is sent or refused.

mod check;
mod new_job;
mod pack;
mod send;

pub use check::check;
pub use new_job::NewJob;
pub use pack::{Outgoing, Packer};
pub use send::{SendOptions, Sent, send_batch};
