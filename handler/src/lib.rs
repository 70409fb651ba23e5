//! Handlers for SQS jobs, and the I/O-free core that owns every decision about a delivery.
//!
//! A service writes [`Job`]s and their handlers, puts them into a [`Router`], and gives that to a host: the
//! long-polling consumer of `drumline-consumer`, or any other that moves a [`Ledger`](core::Ledger).
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
//! # Parts
//! - The root has the eight names that handlers are written with.
//! - [`message`]: messages, their envelopes and attributes, and the identity of a job. For handlers that read more of a
//!   message than its payload, and for producers.
//! - [`run`]: one attempt with all that surrounds it. For tower layers, observers, tests of handlers, and hosts.
//! - [`core`]: the ledger that owns every decision about a delivery. For hosts and stores.
//!
//! `message` knows none of the others, `core` knows `message`, the root knows both, and `run` knows all.
//!
//! # Words
//! A *message* is what SQS stores; a *delivery* is one receipt of it, with its *lease*. A *job* is the decoded payload;
//! an *attempt* is one run of a handler. A run has an [`Ending`](core::Ending); [`decide`](core::decide()) makes it an
//! [`Outcome`](core::Outcome); a host expresses that in [`Call`](core::Call)s. A *lane* is the deliveries of one FIFO
//! message group.
//!
//! # Purity
//! Nothing in this crate reads a clock, draws randomness, looks at the environment, or knows an SDK or a runtime: all of
//! that is handed in. The loop that moves a ledger is shown, as a test, in the documentation of
//! [`Ledger`](core::Ledger).

mod api;
pub mod core;
pub mod message;
pub mod run;

pub use api::context::Context;
pub use api::failure::{Failure, OrReject};
pub use api::handler::Handler;
pub use api::job::{Job, Upcaster};
pub use api::router::Router;
pub use core::retry::RetryPolicy;
