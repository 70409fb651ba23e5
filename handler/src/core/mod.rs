//! The I/O-free core, which makes every decision about a delivery: the [`Ledger`], its inputs and its effects.
//!
//! Hosts drive a ledger, and stores keep its claims. A handler needs little of this: [`RetryPolicy`], which is also at the
//! crate's root, and [`CancelReason`].

pub(crate) mod batches;
pub(crate) mod call;
pub(crate) mod claim;
pub(crate) mod claim_lease;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod delivery;
pub(crate) mod earliest;
pub(crate) mod ending;
pub(crate) mod hidden;
pub(crate) mod ids;
pub(crate) mod ledger;
pub(crate) mod ledger_event;
pub(crate) mod limited_receives;
pub(crate) mod limits;
pub(crate) mod lock_waits;
pub(crate) mod lookahead;
pub(crate) mod marking;
pub(crate) mod maybe_ready;
pub(crate) mod next_job;
pub(crate) mod outcome;
pub(crate) mod outcome_cache;
pub(crate) mod pace;
pub(crate) mod pause;
pub(crate) mod policy;
pub(crate) mod quarantine;
pub(crate) mod reason;
pub(crate) mod receive_backoff;
pub(crate) mod receives;
pub(crate) mod requests;
pub(crate) mod resources;
pub(crate) mod retry;
pub(crate) mod run_report;
pub(crate) mod slots;

pub use call::{Action, Call, CallError, Entry, MAX_BATCH, Replies, VisibilityEntry};
pub use claim::{
    Claim, ClaimRequest, ClaimResult, ClaimStep, Claimed, Grant, JobResult, MAX_CHECKPOINT_BYTES,
    MAX_KEY_BYTES, MAX_RESULT_BYTES, MarkError, Ownership, PriorRun, ReleaseClaim, Takeover,
};
pub use control::{CancelReason, RunControl};
pub use decide::{DecisionInput, decide};
pub use ending::{Duplicate, DuplicateCause, Ending, FailureClass};
pub use hidden::HiddenMessage;
pub use ids::{CallId, DeliveryId};
pub use ledger::{
    Death, Disposition, DrainSummary, Effect, InHandCounts, Ledger, SETTLE_TIME, Start, Suspects, Whereabouts,
};
pub use ledger_event::{LedgerEvent, RunFacts};
pub use limits::{
    BreakerRule, ClosedLimit, GrantedTokens, InvalidLimit, JobClass, JobKind, LimitReason, LimitRules,
    LimitWait, Limits, Percent, Permit, Rate, RateKey, RateOrder, RateRule, RateSnapshot, Tenant,
    TokenDemand, TypeOrders, TypeRules, TypeSnapshot,
};
pub use maybe_ready::MaybeReady;
pub use next_job::{MAX_NEXT_JOBS, NextJob, NextJobs, next_job_id};
pub use outcome::Outcome;
pub use outcome_cache::{OutcomeCache, PriorOutcome};
pub use pause::{Pause, PauseReason, Probe};
pub use policy::{
    Acknowledge, Claims, CrashEvidence, DeadLetterPath, InvalidPolicy, MAX_CONCURRENCY, MAX_RECEIVE,
    MAX_WAIT_TIME, Policy, Polling, UnknownType,
};
pub use reason::{MAX_REASON_BYTES, panic_text};
pub use receive_backoff::ReceiveFailure;
pub use receives::{Receive, ReceiveId, most_open_receives, most_open_receives_of_shared};
pub use requests::{SqsAction, SqsErrorKind, SqsResult, StoreOperation, StoreResult};
pub use resources::is_out_of_resources;
pub use retry::{
    InvalidRetryPolicy, Jitter, JitterMode, MAX_VISIBILITY, ReceiveLimit, RetryLimits, RetryPolicy, SPAN,
};
pub use run_report::RunReport;
pub use slots::{MemberSnapshot, Priority, SlotMember, SlotPool, SlotRules, reserved_slots};
