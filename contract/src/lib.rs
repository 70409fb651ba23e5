#![doc = include_str!("../README.md")]

pub mod asyncapi;
pub mod compatibility;
mod document;

pub use document::{Contract, FORMAT, InvalidContract, TypeContract, VersionContract};
