//! How a block's attributes and blocks become properties.

/// A block's fields that are not merely written in another case.
pub(super) struct Shape {
    pub(super) fields: &'static [Field],
    /// What holds where nothing is written, as far as CloudFormation takes something else for granted.
    pub(super) defaults: &'static [(&'static str, Default)],
}

/// What is taken for granted.
#[derive(Clone, Copy)]
pub(super) enum Default {
    False,
    EmptyList,
}

/// An attribute or a block.
pub(super) struct Field {
    pub(super) from: &'static str,
    /// The property: a path of keys with `/` between them. Of a block, the empty path is where the block is.
    pub(super) to: &'static str,
    pub(super) how: How,
}

/// How a field becomes a property.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// As it is.
    Same,
    /// A text that is JSON, as an object.
    Document,
    /// A text that is JSON with the API's names, which begin in lower case.
    ApiDocument,
    /// A map as a list of objects with `Name` and `Value`.
    NamesAndValues,
    /// A map as a list of objects with `Key` and `Value`.
    KeysAndValues,
    /// A truth as `ENABLED` or `DISABLED`.
    Enabled,
    /// The only item of a list, or all of them as a text.
    OnlyItem,
    /// A block, once at most.
    Block(&'static Shape),
    /// Blocks, as a list.
    Blocks(&'static Shape),
    /// Nothing that CloudFormation has.
    Nothing,
}

/// Nothing but other cases.
pub(super) const PLAIN: Shape = Shape { fields: &[], defaults: &[] };

/// An attribute that only has another name.
pub(super) const fn named(from: &'static str, to: &'static str) -> Field {
    Field { from, to, how: How::Same }
}

pub(super) const fn field(from: &'static str, to: &'static str, how: How) -> Field {
    Field { from, to, how }
}

pub(super) const fn shape(fields: &'static [Field]) -> Shape {
    Shape { fields, defaults: &[] }
}

/// Tags are a map here and a list there.
pub(super) const TAGS: Field = field("tags", "Tags", How::KeysAndValues);

/// How a type of Terraform's is one of CloudFormation's.
pub(super) struct Type {
    /// Such as `aws_sqs_queue`.
    pub(super) terraform: &'static str,
    /// Such as `AWS::SQS::Queue`.
    pub(super) cloudformation: &'static str,
    /// The attribute that is its name, and its id.
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
}
