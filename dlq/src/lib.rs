#![doc = include_str!("../README.md")]

pub mod action;
pub mod alert;
pub mod canary;
pub mod diff;
mod exact;
pub mod filter;
pub mod fingerprint;
pub mod fix;
pub mod groups;
pub mod identity;
pub mod journal;
mod layout;
pub mod letter;
pub mod letter_id;
pub mod line;
pub mod mask;
mod number;
pub mod origin;
pub mod pace;
pub mod pointer;
pub mod rounds;
mod splice;
pub mod undo;
mod value_match;
pub mod watch;

pub use letter::{Cause, CauseSource, Letter};
