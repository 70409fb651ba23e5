#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, reason = "terminal tools: their messages are their output")]
#![allow(clippy::disallowed_methods, reason = "a terminal tool has no settings: it hands its environment on")]

pub mod http;
pub mod interrupt;
pub mod process;
pub mod progress;
pub mod project;
pub mod service;
pub mod status;
pub mod venv;
