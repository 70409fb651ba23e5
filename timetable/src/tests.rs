//! Tests of schedulers in virtual time, with an outbox that fails.

#![allow(clippy::unwrap_used)]

mod faulty;
mod operators;
mod refusals;
mod schedulers;
mod takeovers;
mod world;
