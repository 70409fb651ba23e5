//! The watch over a DLQ: reports each new cause of dead letters once, as a log line, a metric and an alert.
//!
//! [`Watch`](drumline_dlq::watch::Watch) decides about looks and reports. While no job dies, this module only asks SQS for the
//! depth of the DLQ, twice a minute by default.

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
