//! Describes how a block's attributes and blocks become properties.

/// The fields of a block that differ in more than their case.
pub(super) struct Shape {
    pub(super) fields: &'static [Field],
    /// Terraform's defaults that differ from those of CloudFormation.
    pub(super) defaults: &'static [(&'static str, Default)],
}

/// A default value.
#[derive(Clone, Copy)]
pub(super) enum Default {
    False,
    EmptyList,
}

/// An attribute or a block.
pub(super) struct Field {
    pub(super) from: &'static str,
    /// The property: a path of keys separated by `/`. For a block, the empty path is the place of the block.
    pub(super) to: &'static str,
    pub(super) how: How,
}

/// The conversion of a field to a property.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// Unchanged.
    Same,
    /// A text that is JSON, as an object.
    Document,
    /// A text that is JSON with the API's names, which begin in lower case.
    ApiDocument,
    /// A map as a list of objects with `Name` and `Value`.
    NamesAndValues,
    /// A map as a list of objects with `Key` and `Value`.
    KeysAndValues,
    /// A boolean as `ENABLED` or `DISABLED`.
    Enabled,
    /// The only item of a list, or the whole list as a text.
    OnlyItem,
    /// A block that occurs at most once.
    Block(&'static Shape),
    /// Blocks, as a list.
    Blocks(&'static Shape),
    /// Not in CloudFormation.
    Nothing,
}

/// A shape in which fields differ only in their case.
pub(super) const PLAIN: Shape = Shape { fields: &[], defaults: &[] };

/// Returns an attribute that only has another name.
pub(super) const fn named(from: &'static str, to: &'static str) -> Field {
    Field { from, to, how: How::Same }
}

pub(super) const fn field(from: &'static str, to: &'static str, how: How) -> Field {
    Field { from, to, how }
}

pub(super) const fn shape(fields: &'static [Field]) -> Shape {
    Shape { fields, defaults: &[] }
}

/// Tags are a map in Terraform and a list in CloudFormation.
pub(super) const TAGS: Field = field("tags", "Tags", How::KeysAndValues);

/// The mapping of a Terraform type to a CloudFormation type.
pub(super) struct Type {
    /// The Terraform type, such as `aws_sqs_queue`.
    pub(super) terraform: &'static str,
    /// The CloudFormation type, such as `AWS::SQS::Queue`.
    pub(super) cloudformation: &'static str,
    /// The attribute that is the resource's name and ID.
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
}
