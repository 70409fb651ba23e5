//! What the long-polling consumer and the Lambda function share: the settings, SQS by AWS's SDK, the loop that moves the
//! ledger, the store as hosts use it, HTTP forward mode, trace context and logs.
//!
//! Services use one of the hosts, `drumline-consumer` or `drumline-lambda`; this crate is what a further host is made
//! of. [`Driver`] is the heart: it tells the [ledger](drumline::core::Ledger) what happened and carries out its effects on a
//! [`Queue`], and holds no policy of its own.

mod advice;
pub mod aws;
mod batch_report;
mod books;
mod descriptors;
mod drive;
#[cfg(test)]
mod every_event;
mod forward;
mod handlers;
mod intake;
pub mod limits;
pub mod logging;
mod logs;
mod memory;
mod pickup;
mod policy;
mod resources;
mod retries;
mod settings;
mod span_fields;
mod sqs;
mod status;
mod target;
mod trace;
mod unseen;

pub use advice::{Advice, advise};
pub use batch_report::BatchReport;
pub use books::{Books, StoreOutage, StoreSettings, redacted};
pub use descriptors::{check_descriptors, http_connections, raise_descriptor_limit};
pub use drive::{Driver, Grace, Parts};
pub use drumline::core::SqsErrorKind;
pub use drumline::run::{Event, NoopObserver, Observer};
pub use drumline_store::{SecretText, SecretUrl, variable};
pub use forward::{Forward, ForwardOptions, forward_to};
pub use handlers::runtimes;
pub use intake::{default_scope, intake};
pub use logs::Logs;
pub use memory::Memory;
pub use pickup::pickup_delay;
pub use policy::policy;
pub use retries::{retry_limits, waits};
pub use settings::{
    AllFailed, Effective, Environment, FifoStop, HttpAccess, LogFormat, Origin, PermanentFailures, Problem,
    Problems, QueueSettings, SETTINGS, Setting, Settings, Shown, UnknownVariable,
};
pub use sqs::{BoxFuture, Queue, SqsError};
pub use status::QueueStatus;
pub use target::TargetHealth;
pub use unseen::{is_unseen, write_json};
