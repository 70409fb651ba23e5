//! An operator's orders: pauses, the number of concurrent runs and the rate of jobs, while workers run.
//!
//! An [`Order`] changes the [`Orders`] of a [`Target`], at one worker or in the store that all workers follow. A worker shows
//! them as a [`ControlView`] at `GET /control`.

mod documents;
mod follow;
mod jobs;
mod order;
mod orders;
mod rate_text;
mod view;
mod worker;

pub use follow::{DrainReport, FOLLOWED_WITHIN, drains, put_order, stored_orders};
pub use jobs::{JobReply, JobRequest, JobResultKind, JobVerb, job_reply, put_job_request};
pub use order::{Action, InvalidOrder, MAX_BY, MAX_LASTING, MAX_WHY, Order, Target};
pub use orders::{Change, ConcurrencyOrder, Note, Orders, RateNote};
pub use rate_text::RateText;
pub use view::{ControlView, QueueView, StoreView, TypeView};

pub(crate) use follow::Follower;
pub(crate) use worker::{Control, ControlledQueue, Refusal};
