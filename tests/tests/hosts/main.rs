//! The loops of both hosts on a model of SQS and a paused clock, without a process or network. Only a whole consumer with an
//! observer, and the producer, run on the embedded endpoint.
#![allow(clippy::unwrap_used)]

mod batches;
mod breaker;
mod consumer;
mod function;
mod guarded;
mod identity;
mod job_types;
mod late_batches;
mod locks;
mod next_jobs;
mod observers;
mod parity;
mod pauses;
mod produced;
mod producing;
mod producing_faults;
mod rates;
mod retries;
mod running;
mod targets;
mod telemetry;
mod tenants;
mod throttled;
mod waiting;
