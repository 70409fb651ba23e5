//! One pool of slots, shared by the queues of a process by their weights. See ADR 0038.
//!
//! A slot is the place of one run, or of one message that an open receive may return. Without weights there is no pool: each
//! ledger has as many slots as its concurrency.

mod job_times;
mod member;
mod pool;
mod rules;
mod shared_shares;
mod shares;

pub(crate) use job_times::{EndedJobs, JobTimes};
pub use member::SlotMember;
pub use pool::{MemberSnapshot, SlotPool};
pub use rules::{Priority, SlotRules, reserved_slots};
pub(crate) use shares::SlotUse;
