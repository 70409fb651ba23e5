//! The loops of both hosts on a model of SQS and a paused clock, without any process or network.
#![allow(clippy::unwrap_used)]

mod consumer;
mod function;
mod identity;
mod parity;
mod pauses;
mod retries;
mod running;
mod telemetry;
