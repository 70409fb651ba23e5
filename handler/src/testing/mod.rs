//! Tests of handlers: one attempt at a job, with the code that runs it in a host, and all its results.
//!
//! A [`Tester`] has a router. It makes a message with a job, runs it through decoding, the job's claim and its handler, and
//! decides the outcome with the rules of a worker's ledger:
//!
//! ```
//! use drumline::core::Outcome;
//! use drumline::testing::Tester;
//! use drumline::{Context, Failure, Job, Router};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Welcome { user_id: u64 }
//!
//! impl Job for Welcome {
//!     const TYPE: &'static str = "mail.welcome";
//! }
//!
//! async fn welcome(ctx: Context, job: Welcome) -> Result<(), Failure> {
//!     if job.user_id == 0 {
//!         return Err(Failure::reject("there is no user 0"));
//!     }
//!     ctx.set_result(&format!("sent to user {}", job.user_id))
//! }
//!
//! fn router() -> Router {
//!     Router::new().handle(welcome)
//! }
//!
//! # async fn example() {
//! let run = Tester::new(router()).job(&Welcome { user_id: 7 }).await;
//! assert!(run.is_done(), "{run}");
//! assert_eq!(run.result::<String>().as_deref(), Some("sent to user 7"));
//!
//! let run = Tester::new(router()).body(r#"{"type":"mail.welcome","payload":{"user_id":0}}"#).await;
//! assert_eq!(*run.outcome(), Outcome::DeadLetter("there is no user 0".into()), "{run}");
//! # }
//! # use futures_util::FutureExt;
//! # example().now_or_never().expect("nothing to wait for");
//! ```
//!
//! A tester remembers its runs, like a worker and its store: see [`Tester`]. Faults are set on a message, see [`TestMessage`].

mod bench;
mod run_one;
mod runtime;
mod settings;
mod test_claims;
mod test_host;
mod test_message;
mod test_run;
mod tester;
mod together;
mod trouble;

pub use runtime::TestRuntime;
pub use test_message::TestMessage;
pub use test_run::{TestRun, outcome_text};
pub use tester::Tester;
pub use together::Together;
pub use trouble::At;

#[cfg(test)]
mod tests;
