#![doc = include_str!("../README.md")]

pub mod compatibility;
pub mod clients;
mod document;

pub use document::{Contract, FORMAT, InvalidContract, TypeContract, VersionContract};
