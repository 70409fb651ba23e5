//! Resources with CloudFormation's names: a table of types, and the properties of each that differ in more than their case.

mod compute;
mod convert;
mod messaging;
mod observe;
mod shape;
mod together;
mod types;

pub(super) use convert::resource;
pub(super) use together::{Draft, merge};
pub(super) use types::{cloudformation_type, name_attribute};
