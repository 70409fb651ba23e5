//! The ledger, in three layers: its state and the types that it consists of (`state`, `deliveries`, `effect`, `in_flight`, `drain_plan`); a
//! file for each kind of event of deliveries; and the turn that calls them (`turn`).

mod answers;
mod cancelled;
mod claims;
mod clock;
mod concurrency;
mod death;
mod deliveries;
mod dispositions;
mod drain;
mod drain_plan;
mod effect;
mod flow;
mod in_flight;
mod in_hand;
mod jobs;
mod limited;
mod locks;
mod lookahead;
mod pausing;
mod pool_share;
mod probing;
mod quarantined;
mod resources;
mod slots;
mod state;
mod suspects;
mod throttled;
mod turn;
mod waits;

pub use death::Death;
pub use drain_plan::{DrainSummary, SETTLE_TIME};
pub use effect::{Disposition, Effect, Start};
pub use in_hand::InHandCounts;
pub use jobs::Whereabouts;
pub use state::Ledger;
pub use suspects::Suspects;
