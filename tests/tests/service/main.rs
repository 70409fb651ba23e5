//! Services outside this repository's workspace, as teams create, build and run their own: `tests/service`, and the files of
//! `drumline new`.
#![allow(clippy::unwrap_used)]

mod cargo;
mod first_steps;
mod packages;
mod runs;
mod transcript;
