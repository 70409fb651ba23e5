#![doc = include_str!("../README.md")]

pub mod asyncapi;
pub mod clients;
pub mod compatibility;
mod document;
pub mod guards;

pub use document::{Contract, FORMAT, InvalidContract, TypeContract, VersionContract};
