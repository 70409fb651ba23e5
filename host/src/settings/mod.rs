//! The settings: read from every source and parsed, with all problems reported at once.

mod by_name;
mod by_type;
mod dlq_watch;
mod effective;
mod environment;
mod fields;
mod file_text;
mod guards;
mod kubernetes;
mod limits;
mod log_filter;
mod names;
mod origin;
mod outbox;
mod own_store;
mod payloads;
mod problem;
mod process;
mod queue;
mod read;
mod reader;
mod schedules;
mod shown_limits;
mod shown_schedules;
mod slots;
mod sources;
mod table;
mod unknown;
mod values;
mod warnings;

pub use by_type::{EffectiveType, TypeValue};
pub use dlq_watch::DlqWatchSettings;
pub use effective::Effective;
pub use environment::Environment;
pub use guards::{GUARD_KINDS, GuardAllowance, GuardMode, GuardSettings};
pub(crate) use log_filter::directives;
pub use origin::Origin;
pub use problem::{Problem, Problems};
pub use process::{HttpAccess, Settings};
pub use queue::QueueSettings;
pub use schedules::{ScheduleSettings, ScheduleTimes};
pub use table::{SETTINGS, Setting};
pub use unknown::UnknownVariable;
pub use values::{AllFailed, FifoStop, LogFormat, PermanentFailures};

#[cfg(test)]
mod tests;
