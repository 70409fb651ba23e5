//! Resources under CloudFormation's names: a table of types, and the properties of each that are not merely written in
//! another case.

mod compute;
mod convert;
mod messaging;
mod observe;
mod shape;
mod together;

use shape::Shape;

pub(super) use convert::resource;
pub(super) use together::{Draft, merge};

/// How a type of Terraform's is one of CloudFormation's.
pub(super) struct Type {
    /// Such as `aws_sqs_queue`.
    terraform: &'static str,
    /// Such as `AWS::SQS::Queue`.
    cloudformation: &'static str,
    /// The attribute that is its name, and its id.
    name: &'static str,
    shape: &'static Shape,
}

/// All types with properties that rules look at.
fn types() -> impl Iterator<Item = &'static Type> {
    [&messaging::TYPES[..], &compute::TYPES[..], &observe::TYPES[..]].into_iter().flatten()
}

fn find(terraform: &str) -> Option<&'static Type> {
    types().find(|known| known.terraform == terraform)
}

/// CloudFormation's name of a type.
pub(super) fn cloudformation_type(terraform: &str) -> Option<&'static str> {
    find(terraform).map(|known| known.cloudformation)
}

/// The attribute that is a resource's name, for types that have one.
pub(super) fn name_attribute(terraform: &str) -> Option<&'static str> {
    find(terraform).map(|known| known.name).filter(|name| !name.is_empty())
}
