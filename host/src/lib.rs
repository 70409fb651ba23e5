#![doc = include_str!("../README.md")]

mod advice;
pub mod aws;
mod batch_report;
mod books;
mod clock;
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
mod redact;
mod resources;
mod retries;
mod settings;
mod shown;
mod span_fields;
mod sqs;
mod status;
mod target;
mod trace;
mod unseen;
mod waits;

pub use advice::{Advice, advise};
pub use batch_report::BatchReport;
pub use books::{Books, StoreOutage, StoreSettings};
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
pub use redact::redacted;
pub use retries::retry_limits;
pub use settings::{
    AllFailed, Effective, EffectiveType, Environment, FifoStop, HttpAccess, LogFormat, Origin,
    PermanentFailures, Problem, Problems, QueueSettings, SETTINGS, Setting, Settings, TypeValue,
    UnknownVariable,
};
pub use shown::Shown;
pub use sqs::{BoxFuture, Queue, SqsError};
pub use status::QueueStatus;
pub use target::TargetHealth;
pub use unseen::{is_unseen, write_json};
pub use waits::waits;
