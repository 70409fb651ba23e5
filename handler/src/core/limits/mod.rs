//! The limits of jobs in one process: how many of a type run at once, how often they start, and when none starts.
//!
//! A run requests a [`Permit`] once its type and its key are known, and before its claim. A run that has to wait ends at once,
//! without an attempt: the ledger [holds](super::ledger) its message, and starts it again with the permit. No I/O, no clock.

mod breaker;
mod changes;
mod episodes;
mod half_open;
mod held;
mod invalid_limit;
mod job_class;
mod leased;
mod limit_reason;
mod limited_classes;
mod local_rate;
mod operator;
mod ordering;
mod percent;
mod permit;
mod process;
mod queue_turns;
mod rate;
mod rate_key;
mod returned;
mod rules;
mod run_times;
mod search_pace;
mod shared;
mod shared_rates;
mod snapshot;
mod tenants;
mod throttle;
mod tokens;
mod type_state;
mod wait;
mod wait_reports;

pub use breaker::BreakerRule;
pub(crate) use held::{HELD_PER_CLASS, HeldMessages, Hold};
pub use invalid_limit::InvalidLimit;
pub use job_class::{JobClass, Tenant};
pub use limit_reason::LimitReason;
pub use operator::{RateOrder, TypeOrders};
pub use percent::Percent;
pub use permit::Permit;
pub use process::Limits;
pub use rules::{JobKind, LimitRules, Rate, RateKey, RateRule, TypeRules};
pub use snapshot::{ClosedLimit, RateSnapshot, TypeSnapshot};
pub use tokens::{GrantedTokens, TokenDemand};
pub use wait::LimitWait;
pub(crate) use wait_reports::{CountChange, WaitChanges, WaitReports};
