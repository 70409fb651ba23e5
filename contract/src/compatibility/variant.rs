//! The variants of enums, by their names.

use serde_json::Value;

use super::mismatch::{Misfit, MismatchKind};
use super::object::ObjectShape;
use super::shape::{Alternative, Shape};

/// Returns the reason why no alternative of the reader is similar to this one of the writer.
pub(super) fn no_candidate(
    readers: &[Alternative<'_>],
    like: &[&Alternative<'_>],
    writer: &Alternative<'_>,
) -> Misfit {
    if like.is_empty() {
        return Misfit::narrower(writer.shape.noun(), &nouns(readers));
    }
    Misfit::certain(MismatchKind::UnknownValue(match (&writer.shape, writer.shape.single()) {
        (_, Some(value)) => value,
        (Shape::Object(shape), None) => variant(shape),
        _ => format!("such {}", writer.shape.noun().trim_start_matches("an ").trim_start_matches("a ")),
    }))
}

/// Returns the JSON types of a reader.
pub(super) fn nouns(readers: &[Alternative<'_>]) -> String {
    let mut nouns: Vec<&str> = readers.iter().map(|reader| reader.shape.noun()).collect();
    nouns.dedup();
    if nouns.is_empty() { "nothing".to_owned() } else { nouns.join(" or ") }
}

/// Returns true if two variants of enums have the same tag, or the same fields.
pub(super) fn is_same_variant(reader: &Shape<'_>, writer: &Shape<'_>) -> bool {
    let (Shape::Object(reader), Shape::Object(writer)) = (reader, writer) else { return false };
    match (tag(reader), tag(writer)) {
        (None, None) => !writer.required.is_empty() && reader.required == writer.required,
        (reader, writer) => reader == writer,
    }
}

/// Returns the tag of a variant: a field that always has one value.
fn tag<'s>(shape: &'s ObjectShape<'_>) -> Option<(&'s str, &'s Value)> {
    let of = |name: &&'s str| {
        let [schema] = shape.fields.get(*name)?.schemas() else { return None };
        Some((*name, schema.get("const")?))
    };
    shape.required.iter().find_map(of)
}

/// Names a variant of an enum: by its tag, or by the fields that it always has.
fn variant(shape: &ObjectShape<'_>) -> String {
    if let Some((name, value)) = tag(shape) {
        return format!("the variant with {name:?}: {value}");
    }
    let fields: Vec<String> = shape.required.iter().map(|name| format!("{name:?}")).collect();
    if fields.is_empty() {
        "such an object".to_owned()
    } else {
        format!("the variant with {}", fields.join(", "))
    }
}
