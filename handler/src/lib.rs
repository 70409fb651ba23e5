//! To be written.

mod context;
mod control;
mod ending;
mod envelope;
mod failure;
mod invoke;
mod job;
mod message;
mod router;
mod unwrapping;

pub use context::{Context, Host, Progress};
pub use control::{CancelReason, RunControl};
pub use ending::{Ending, Report};
pub use envelope::{Envelope, S3_EVENT_TYPE, S3_TEST_EVENT_TYPE, TYPE_ATTRIBUTE, Undecodable};
pub use failure::{Failure, MAX_REASON_BYTES, OrReject, Wish};
pub use invoke::Attempt;
pub use job::{Job, Upcaster};
pub use message::{Attribute, Message};
pub use router::{Handler, HandlerFuture, HandlerService, Invocation, Router};
