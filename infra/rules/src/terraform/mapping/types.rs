//! The types of both languages, by Terraform's names.

use super::shape::Type;
use super::{compute, messaging, observe};

/// Returns all types with properties that rules read.
fn types() -> impl Iterator<Item = &'static Type> {
    [&messaging::TYPES[..], &compute::TYPES[..], &observe::TYPES[..]].into_iter().flatten()
}

pub(super) fn find(terraform: &str) -> Option<&'static Type> {
    types().find(|known| known.terraform == terraform)
}

/// Returns CloudFormation's name of a type.
pub(in crate::terraform) fn cloudformation_type(terraform: &str) -> Option<&'static str> {
    find(terraform).map(|known| known.cloudformation)
}

/// Returns the attribute with a resource's name, for types that have one.
pub(in crate::terraform) fn name_attribute(terraform: &str) -> Option<&'static str> {
    find(terraform).map(|known| known.name).filter(|name| !name.is_empty())
}
