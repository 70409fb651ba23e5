//! Handlers for SQS jobs, and the I/O-free core that owns every decision about a delivery.
//!
//! A service writes [`Job`]s and their handlers, puts them into a [`Router`], and gives that to a host: the
//! long-polling consumer of `drumline-consumer`, or any other that moves a [`Ledger`].
//!
//! ```
//! use drumline::{Context, Failure, Job, Router};
//!
//! #[derive(serde::Deserialize)]
//! struct Thumbnail {
//!     image_id: u64,
//! }
//!
//! impl Job for Thumbnail {
//!     const TYPE: &'static str = "image.thumbnail";
//! }
//!
//! async fn thumbnail(ctx: Context, job: Thumbnail) -> Result<(), Failure> {
//!     if job.image_id == 0 {
//!         return Err(Failure::reject("there is no image 0"));
//!     }
//!     // `?` on any error means: try again later.
//!     let pixels = ctx.blocking(move || Ok(std::fs::read(format!("{}.png", job.image_id))?)).await?;
//!     ctx.progress(1, 1, "images");
//!     Ok(drop(pixels))
//! }
//!
//! let router = Router::new().handle(thumbnail);
//! assert_eq!(router.types().collect::<Vec<_>>(), ["image.thumbnail"]);
//! ```
//!
//! # Words
//! A *message* is what SQS stores; a *delivery* is one receipt of it, with its *lease*. A *job* is the decoded payload;
//! an *attempt* is one run of a handler. A run has an [`Ending`]; [`decide`](decide()) makes it an [`Outcome`]; a host
//! expresses that in [`Call`]s. A *lane* is the deliveries of one FIFO message group.
//!
//! # Purity
//! Nothing in this crate reads a clock, draws randomness, looks at the environment, or knows an SDK or a runtime: all of
//! that is handed in. The loop that moves a ledger is shown, as a test, in [`Ledger`]'s documentation.

mod api;
mod core;
mod message;
mod run;

pub use api::context::{Context, Host, Progress};
pub use api::failure::{Failure, MAX_REASON_BYTES, OrReject, Wish};
pub use api::job::{Job, Upcaster};
pub use api::router::{Handler, HandlerFuture, HandlerService, Invocation, RAW_TYPE, Router};
pub use api::step::MAX_STEP_RETRIES;
pub use core::call::{Action, Call, CallError, CallId, Entry, MAX_BATCH, Replies, VisibilityEntry};
pub use core::claim::{
    Admission, Claim, ClaimRequest, ClaimStep, Claimed, Grant, Held, JobResult, MAX_CHECKPOINT_BYTES,
    MAX_KEY_BYTES, MAX_RESULT_BYTES, MarkError, PriorRun, Surrender, Takeover,
};
pub use core::control::{CancelReason, RunControl};
pub use core::decide::{Facts, decide};
pub use core::delivery::DeliveryId;
pub use core::ending::{Duplicate, DuplicateCause, Ending, FailureClass, Report};
pub use core::ledger;
pub use core::ledger::{Disposition, DrainSummary, Effect, Ledger, SETTLE_TIME, Start};
pub use core::note::{Note, RunFacts};
pub use core::outcome::Outcome;
pub use core::pause::{Pause, PauseReason, Probe};
pub use core::policy::{
    Acknowledge, Claims, CrashEvidence, DeadLetterPath, InvalidPolicy, MAX_CONCURRENCY, MAX_WAIT_TIME,
    Policy, Polling, UnknownType,
};
pub use core::receive_backoff::ReceiveFailure;
pub use core::receives::{MAX_RECEIVE, Receive, ReceiveId, most_open_receives};
pub use core::recollection::{Past, Recollection};
pub use core::requests::{SqsAction, SqsErrorKind, SqsResult, StoreOperation, StoreResult};
pub use core::retry::{
    InvalidRetryPolicy, Jitter, JitterMode, MAX_VISIBILITY, ReceiveLimit, RetryLimits, RetryPolicy, SPAN,
};
pub use message::envelope::{Envelope, S3_EVENT_TYPE, S3_TEST_EVENT_TYPE, TYPE_ATTRIBUTE, Undecodable};
pub use message::identity::{
    Identity, KeyScope, MAX_IDENTITY_KEY_BYTES, MAX_SCOPE_BYTES, MAX_SOURCE_BYTES, MAX_TYPE_BYTES,
    escape_controls,
};
pub use message::intake::{Intake, RequiredFields};
pub use message::objects::from_json;
pub use message::sqs_message::{Attribute, AttributeValue, Message};
pub use run::answer::Answer;
pub use run::event::Event;
pub use run::invoke::Attempt;
pub use run::observer::{NoopObserver, Observer};
pub use run::resources::is_out_of_resources;
