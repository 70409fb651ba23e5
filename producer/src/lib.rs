#![doc = include_str!("../README.md")]

mod attributes;
mod body_fields;
mod check;
mod connect;
mod dispatch;
mod encode;
mod error;
mod guards;
mod new_job;
mod options;
mod origin;
mod pack;
mod partial_failure;
mod prepared;
mod producer;
mod receipt;
mod routes;
mod schemas;
mod send;
mod send_all;
mod send_job;
mod sqs_rules;
mod target_queue;

pub use attributes::{Attributes, attribute, attributes};
pub use check::{Checked, Checks, Unsendable, check};
pub use connect::ConnectError;
pub use drumline_runtime::TraceLayer;
pub use error::{ProduceError, Refusal, Unsent};
pub use new_job::NewJob;
pub use pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outgoing, Packer};
pub use payload::{OffloadError, PayloadStore};
pub use send::{InDoubt, RESEND_WAIT, SendError, SendOptions, Sent, send_batch};
pub use sender::{Pending, Receipt, SendFailure, Sender, SenderOptions, TrySendError};
