//! The values of one JSON type that fit a schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::array::ArrayShape;
use super::number::NumberShape;
use super::object::ObjectShape;
use super::term::Term;
use super::text::TextShape;

/// The values of one JSON type that fit a schema.
#[derive(Debug, Clone)]
pub(super) enum Shape<'a> {
    Null,
    /// False and true.
    Bool([bool; 2]),
    Number(NumberShape),
    Text(TextShape<'a>),
    Array(ArrayShape<'a>),
    Object(ObjectShape<'a>),
}

/// One alternative by which a value can fit a schema.
#[derive(Debug, Clone)]
pub(super) struct Alternative<'a> {
    pub(super) shape: Shape<'a>,
    /// The other branches of a reader's `oneOf`, which a value must not fit.
    pub(super) others: Vec<Term<'a>>,
    /// Keywords that also apply but are not compared.
    pub(super) ignored: BTreeSet<String>,
    /// True if more values may fit than the shape describes.
    pub(super) is_partial: bool,
}

impl<'a> Alternative<'a> {
    pub(super) fn new(shape: Shape<'a>) -> Self {
        Self { shape, others: Vec::new(), ignored: BTreeSet::new(), is_partial: false }
    }

    /// Returns the alternative without fields that its schema does not name.
    pub(super) fn closed(&self) -> Self {
        match &self.shape {
            Shape::Object(shape) => Self { shape: Shape::Object(shape.closed()), ..self.clone() },
            _ => self.clone(),
        }
    }

    /// Returns the values that fit both.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let mut ignored: BTreeSet<String> = self.ignored.union(&other.ignored).cloned().collect();
        let shape = self.shape.meet(&other.shape, &mut ignored)?;
        let others = self.others.iter().chain(&other.others).cloned().collect();
        Some(Self { shape, others, ignored, is_partial: self.is_partial || other.is_partial })
    }
}

impl<'a> Shape<'a> {
    fn meet(&self, other: &Self, ignored: &mut BTreeSet<String>) -> Option<Self> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Self::Null),
            (Self::Bool([no, yes]), Self::Bool([other_no, other_yes])) => {
                Self::bools([no & other_no, yes & other_yes])
            }
            (Self::Number(a), Self::Number(b)) => a.meet(b).map(Self::Number),
            (Self::Text(a), Self::Text(b)) => a.meet(b).map(Self::Text),
            (Self::Array(a), Self::Array(b)) => a.meet(b).map(Self::Array),
            (Self::Object(a), Self::Object(b)) => a.meet(b, ignored).map(Self::Object),
            _ => None,
        }
    }

    fn bools(allowed: [bool; 2]) -> Option<Self> {
        (allowed != [false; 2]).then_some(Self::Bool(allowed))
    }

    /// Returns the values of this shape that are among `values`. Arrays and objects are not compared: this is recorded in
    /// `ignored`.
    pub(super) fn only(self, values: &[&'a Value], ignored: &mut BTreeSet<String>) -> Option<Self> {
        match self {
            Self::Null => values.contains(&&Value::Null).then_some(Self::Null),
            Self::Bool([no, yes]) => {
                let has = |value: bool| values.contains(&&Value::Bool(value));
                Self::bools([no && has(false), yes && has(true)])
            }
            Self::Number(shape) => {
                shape.only(values.iter().filter_map(|value| value.as_number())).map(Self::Number)
            }
            Self::Text(shape) => shape.only(values.iter().filter_map(|value| value.as_str())).map(Self::Text),
            Self::Array(_) | Self::Object(_) => {
                let is_same = |value: &&&Value| match self {
                    Self::Array(_) => value.is_array(),
                    _ => value.is_object(),
                };
                values.iter().find(is_same)?;
                ignored.insert("enum".to_owned());
                Some(self)
            }
        }
    }

    /// Returns the values of this shape that are not among `values`.
    pub(super) fn without(self, values: &[&'a Value], ignored: &mut BTreeSet<String>) -> Option<Self> {
        match self {
            Self::Null => (!values.contains(&&Value::Null)).then_some(Self::Null),
            Self::Bool([no, yes]) => {
                let has = |value: bool| values.contains(&&Value::Bool(value));
                Self::bools([no && !has(false), yes && !has(true)])
            }
            Self::Number(shape) => {
                shape.without(values.iter().filter_map(|value| value.as_number())).map(Self::Number)
            }
            Self::Text(shape) => {
                shape.without(values.iter().filter_map(|value| value.as_str())).map(Self::Text)
            }
            Self::Array(_) | Self::Object(_) => {
                if values.iter().any(|value| value.is_array() || value.is_object()) {
                    ignored.insert("not".to_owned());
                }
                Some(self)
            }
        }
    }

    /// Returns a shape for each single value, if there are few.
    pub(super) fn split(self) -> Vec<Self> {
        match self {
            Self::Bool([true, true]) => vec![Self::Bool([true, false]), Self::Bool([false, true])],
            Self::Number(shape) => shape.split().into_iter().map(Self::Number).collect(),
            Self::Text(shape) => shape.split().into_iter().map(Self::Text).collect(),
            other => vec![other],
        }
    }

    /// Returns the JSON type, with its article.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(shape) => shape.noun(),
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Returns the text of the value, if the shape has only one.
    pub(super) fn single(&self) -> Option<String> {
        match self {
            Self::Null => Some("null".to_owned()),
            Self::Bool([true, false]) => Some("false".to_owned()),
            Self::Bool([false, true]) => Some("true".to_owned()),
            Self::Number(shape) => shape.single(),
            Self::Text(shape) => shape.single().map(|text| format!("{text:?}")),
            _ => None,
        }
    }

    /// Returns true if both have the same JSON type.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
