//! The watch over a DLQ: reports each new cause of dead letters once, as a log line, a metric and an alert.
//!
//! It decides nothing: [`Watch`](drumline_dlq::watch::Watch) says when to look and what to report. While nothing dies it asks SQS for
//! the depth of the DLQ, twice a minute by default, and for nothing else.

mod causes;
mod dead_letters;
mod delivery;
mod failures;
mod leader;
mod letters;
mod outbox;
mod problems;
mod shared;
mod watch;
mod watches;

pub use causes::{LetterHistory, LetterJob, StoreHistory, cause_in};
pub use delivery::{Alerts, Undelivered};
pub use drumline_runtime::AlertTarget;
pub(crate) use leader::WATCH_TYPE;
pub use letters::{DeadLetters, Depth, SqsLetters, WantsMore};
pub use watch::{DlqWatch, EVERY, QUIET};
pub(crate) use watches::{Watched, Watches};
