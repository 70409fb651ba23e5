//! Scenarios of the ledger on virtual time: the effects that a host is asked for, line by line.
//!
//! Each file holds the scenarios of one rule; [`World`](world::World) is the host in which they run.
#![allow(clippy::unwrap_used)]

#[path = "ledger_scenarios/backoff.rs"]
mod backoff;
#[path = "ledger_scenarios/batching.rs"]
mod batching;
#[path = "ledger_scenarios/claims.rs"]
mod claims;
#[path = "ledger_scenarios/concurrency.rs"]
mod concurrency;
#[path = "ledger_scenarios/deletion.rs"]
mod deletion;
#[path = "ledger_scenarios/delivered.rs"]
mod delivered;
#[path = "ledger_scenarios/dispositions.rs"]
mod dispositions;
#[path = "ledger_scenarios/drain.rs"]
mod drain;
#[path = "ledger_scenarios/duplicates.rs"]
mod duplicates;
#[path = "ledger_scenarios/failed_permanently.rs"]
mod failed_permanently;
#[path = "ledger_scenarios/jobs.rs"]
mod jobs;
#[path = "ledger_scenarios/lanes.rs"]
mod lanes;
#[path = "ledger_scenarios/leases.rs"]
mod leases;
#[path = "ledger_scenarios/limits.rs"]
mod limits;
#[path = "ledger_scenarios/limits_of_batches.rs"]
mod limits_of_batches;
#[path = "ledger_scenarios/limits_of_groups.rs"]
mod limits_of_groups;
#[path = "ledger_scenarios/limits_receiving.rs"]
mod limits_receiving;
#[path = "ledger_scenarios/locks.rs"]
mod locks;
#[path = "ledger_scenarios/lookahead.rs"]
mod lookahead;
#[path = "ledger_scenarios/marks.rs"]
mod marks;
#[path = "ledger_scenarios/order_of_exit.rs"]
mod order_of_exit;
#[path = "ledger_scenarios/pauses.rs"]
mod pauses;
#[path = "ledger_scenarios/pool.rs"]
mod pool;
#[path = "ledger_scenarios/quarantine.rs"]
mod quarantined;
#[path = "ledger_scenarios/resources.rs"]
mod resources;
#[path = "ledger_scenarios/slots.rs"]
mod slots;
#[path = "ledger_scenarios/target.rs"]
mod target;
#[path = "ledger_scenarios/throttled.rs"]
mod throttled;
#[path = "ledger_scenarios/words.rs"]
mod words;
#[path = "ledger_scenarios/world.rs"]
mod world;
