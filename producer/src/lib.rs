#![doc = include_str!("../README.md")]

mod attributes;
mod check;
pub mod gate;
mod new_job;
mod options;
mod origin;
mod pack;
mod payload;
mod send;
mod sender;

pub use attributes::{Attributes, attribute, attributes};
pub use check::check;
pub use connect::ConnectError;
pub use drumline_runtime::TraceLayer;
pub use error::{ProduceError, Refusal, Unsent};
pub use new_job::NewJob;
pub use pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outgoing, Packer};
pub use payload::{OffloadError, PayloadStore};
pub use send::{InDoubt, RESEND_WAIT, SendError, SendOptions, Sent, send_batch};
pub use sender::{Pending, Receipt, SendFailure, Sender, SenderOptions, TrySendError};
