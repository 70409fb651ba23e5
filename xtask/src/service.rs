//! The peers that tests talk to, one module each: `start` brings it up and returns it ready, its `env` tells the
//! tests where it is, dropping it stops it.

pub(crate) mod localstack;
