//! Services outside this repository's workspace, as teams make, build and run their own: `tests/service`, and what `drumline new`
//! writes.
#![allow(clippy::unwrap_used)]

mod cargo;
mod first_steps;
mod packages;
mod runs;
mod transcript;
