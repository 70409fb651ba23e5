//! Arrays: tuples, lists and sets.

use serde_json::{Map, Value};

use super::mismatch::Misfit;
use super::term::Term;
use super::text::{length, misfits_of_length};

/// The arrays that fit a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct ArrayShape<'a> {
    /// The first items, each with its own schema.
    first: Vec<Term<'a>>,
    /// The schema of all further items.
    rest: Term<'a>,
    min: u64,
    max: Option<u64>,
    is_unique: bool,
}

impl<'a> ArrayShape<'a> {
    pub(super) fn read(node: &'a Map<String, Value>) -> Self {
        // Before 2020-12, `items` contained the first ones, and `additionalItems` the rest.
        let (first, rest) = match (node.get("prefixItems"), node.get("items")) {
            (None, Some(Value::Array(first))) => (Some(first), node.get("additionalItems")),
            (first, rest) => (first.and_then(Value::as_array), rest),
        };
        let first: Vec<Term<'a>> = first.into_iter().flatten().map(Term::one).collect();
        let rest = rest.map(Term::one).unwrap_or_default();
        let max = length(node, "maxItems");
        // No item may follow the first ones.
        let end = rest.is_never().then_some(first.len() as u64);
        Self {
            rest,
            min: length(node, "minItems").unwrap_or(0),
            max: max.into_iter().chain(end).min(),
            is_unique: node.get("uniqueItems") == Some(&Value::Bool(true)),
            first,
        }
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let both = self.first.len().max(other.first.len());
        let met = Self {
            first: (0..both).map(|at| self.item(at).clone().and(other.item(at))).collect(),
            rest: self.rest.clone().and(&other.rest),
            min: self.min.max(other.min),
            max: self.max.into_iter().chain(other.max).min(),
            is_unique: self.is_unique || other.is_unique,
        };
        met.max.is_none_or(|max| met.min <= max).then_some(met)
    }

    /// Returns the schemas of the item at this index.
    pub(super) fn item(&self, at: usize) -> &Term<'a> {
        self.first.get(at).unwrap_or(&self.rest)
    }

    /// Returns the schemas of the items after the first ones.
    pub(super) fn rest(&self) -> &Term<'a> {
        &self.rest
    }

    /// Returns the number of items with their own schemas.
    pub(super) fn first(&self) -> usize {
        self.first.len()
    }

    /// Returns true if an array may have an item at this index.
    pub(super) fn reaches(&self, at: usize) -> bool {
        self.max.is_none_or(|max| (at as u64) < max)
    }

    /// Returns true if every array has an item at this index.
    pub(super) fn has(&self, at: usize) -> bool {
        (at as u64) < self.min
    }

    /// Returns the mismatches between the writer's arrays and this reader, except those of the items.
    pub(super) fn misfits(&self, writer: &Self) -> Vec<Misfit> {
        let lengths = ((self.min, self.max), (writer.min, writer.max));
        let mut misfits =
            misfits_of_length(lengths.0, lengths.1, |number| format!("arrays of {number} items"));
        if self.is_unique && !writer.is_unique && writer.reaches(1) {
            misfits
                .push(Misfit::doubtful("the reader may accept repeated items, although its schema does not"));
        }
        misfits
    }

    pub(super) fn has_disjoint_length(&self, other: &Self) -> bool {
        let is_below = |max: Option<u64>, min: u64| max.is_some_and(|max| max < min);
        is_below(self.max, other.min) || is_below(other.max, self.min)
    }
}
