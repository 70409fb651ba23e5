//! The I/O-free core, which owns every decision about a delivery.

pub(crate) mod batches;
pub(crate) mod call;
pub(crate) mod claim;
pub(crate) mod claim_lease;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod delivery;
pub(crate) mod ending;
pub(crate) mod isolation;
pub mod ledger;
pub(crate) mod lock_waits;
pub(crate) mod marking;
pub(crate) mod note;
pub(crate) mod outcome;
pub(crate) mod pace;
pub(crate) mod pause;
pub(crate) mod policy;
pub(crate) mod receive_backoff;
pub(crate) mod receives;
pub(crate) mod recollection;
pub(crate) mod requests;
pub(crate) mod retry;
