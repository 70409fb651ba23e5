//! To be written.

mod batches;
mod call;
mod context;
mod control;
mod decide;
mod delivery;
mod ending;
mod envelope;
mod failure;
mod invoke;
mod isolation;
mod job;
pub mod ledger;
mod message;
mod note;
mod outcome;
mod policy;
mod receives;
mod recollection;
mod retry;
mod router;
mod unwrapping;

pub use call::{Action, Call, CallError, CallId, Entry, MAX_BATCH, Replies, VisibilityEntry};
pub use context::{Context, Host, Progress};
pub use control::{CancelReason, RunControl};
pub use decide::{Facts, decide};
pub use delivery::DeliveryId;
pub use ending::{Ending, Report};
pub use envelope::{Envelope, S3_EVENT_TYPE, S3_TEST_EVENT_TYPE, TYPE_ATTRIBUTE, Undecodable};
pub use failure::{Failure, MAX_REASON_BYTES, OrReject, Wish};
pub use invoke::Attempt;
pub use job::{Job, Upcaster};
pub use ledger::{DrainSummary, Effect, Ledger, Start};
pub use message::{Attribute, Message};
pub use note::{Note, RunFacts};
pub use outcome::Outcome;
pub use policy::{
    Acknowledge, DeadLetterPath, InvalidPolicy, MAX_CONCURRENCY, MAX_WAIT_TIME, Policy, Polling, UnknownType,
};
pub use receives::{MAX_RECEIVE, Receive, ReceiveId};
pub use retry::{InvalidRetryPolicy, Jitter, JitterMode, MAX_VISIBILITY, RetryPolicy};
pub use router::{Handler, HandlerFuture, HandlerService, Invocation, Router};
