//! The run of one attempt: its admission, its handler, and the code around both.
//!
//! A host makes an [`Attempt`] and has a [`Router`](crate::Router) run it; it lends a [`RunEnvironment`] to the handler, and observers
//! receive the [`Event`]s. Tower layers see each [`Invocation`] of a handler.

pub(crate) mod attempt;
pub(crate) mod claiming;
pub(crate) mod collector;
pub(crate) mod in_attempt;
pub(crate) mod in_span;
pub(crate) mod invoke;
pub(crate) mod next_jobs;
pub(crate) mod opening;
pub(crate) mod precheck;

pub use crate::api::arrivals::Arrival;
pub use crate::api::attempt_info::{AttemptInfo, AttemptTrace};
pub use crate::api::dead_job::{DeadJob, DeadJobAttempt, DeadJobHook};
pub use crate::api::event::Event;
pub use crate::api::failure::FailureKind;
pub use crate::api::handler::HandlerFuture;
pub use crate::api::job_type::JobType;
pub use crate::api::observer::{NoopObserver, Observer};
pub use crate::api::progress::Progress;
pub use crate::api::router::{HandlerService, InvalidRouter, Invocation, RAW_TYPE};
pub use crate::api::run_environment::{NextError, OpenError, RunEnvironment};
pub use crate::api::step::MAX_STEP_RETRIES;
pub use attempt::Attempt;
pub use precheck::Precheck;
