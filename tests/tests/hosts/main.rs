//! The loops of both hosts on a model of SQS and a paused clock, without any process or network. Only a whole consumer with an
//! observer is run on the embedded endpoint.
#![allow(clippy::unwrap_used)]

mod consumer;
mod function;
mod identity;
mod job_types;
mod late_batches;
mod locks;
mod observers;
mod parity;
mod pauses;
mod retries;
mod running;
mod targets;
mod telemetry;
