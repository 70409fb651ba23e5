//! A service outside this repository's workspace, `tests/service`, built and run as a team builds and runs its own.
#![allow(clippy::unwrap_used)]

mod build;
mod packages;
mod runs;
