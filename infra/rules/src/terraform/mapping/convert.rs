//! A resource's block into properties, by the shape of its type.

use std::collections::BTreeMap;

use hcl::{Body, Expression};
use serde_json::Value;

use super::shape::{Default, How, PLAIN, Shape};
use super::types::find;
use crate::terraform::evaluate::Evaluator;
use crate::terraform::evaluated::Evaluated;
use crate::terraform::module::{attribute, block};
use crate::terraform::variables::camel_case;
use crate::value::{plain, truth};

/// Blocks and attributes that are Terraform's own.
const META: [&str; 8] =
    ["lifecycle", "depends_on", "count", "for_each", "provider", "provisioner", "connection", "timeouts"];

/// Keys of the API's documents that hold names of the user's, which stay as they are.
const USERS_NAMES: [&str; 3] = ["options", "dockerLabels", "driverOpts"];

/// The properties of a resource. A type that is not known has them in another case only.
pub(in crate::terraform) fn resource(evaluator: &Evaluator<'_>, kind: &str, body: &Body) -> Evaluated {
    let mut found = properties(evaluator, body, find(kind).map_or(&PLAIN, |known| known.shape));
    if ignores_changes(body, "desired_count") {
        // Only where the service begins: a deployment leaves it as it is.
        found.remove("DesiredCount");
    }
    found
}

fn ignores_changes(body: &Body, name: &str) -> bool {
    let ignored = block(body, "lifecycle").and_then(|lifecycle| attribute(lifecycle, "ignore_changes"));
    let is_it =
        |item: &Expression| matches!(item, Expression::Variable(attribute) if attribute.as_str() == name);
    matches!(ignored, Some(Expression::Array(items)) if items.iter().any(is_it))
}

fn properties(evaluator: &Evaluator<'_>, body: &Body, shape: &Shape) -> Evaluated {
    let mut found = Evaluated::object([]);
    for attribute in body.attributes().filter(|attribute| !META.contains(&attribute.key())) {
        put_attribute(&mut found, attribute.key(), &evaluator.evaluate(&attribute.expr), shape);
    }
    for (kind, bodies) in blocks_by_kind(body) {
        put_blocks(evaluator, &mut found, &kind, &bodies, shape);
    }
    for (path, default) in shape.defaults {
        if found.value.get(path).is_none() {
            let value = match default {
                Default::False => Value::Bool(false),
                Default::EmptyList => Value::Array(Vec::new()),
            };
            found.put(path, &Evaluated::known(value));
        }
    }
    found
}

fn put_attribute(found: &mut Evaluated, name: &str, value: &Evaluated, shape: &Shape) {
    let field = shape.fields.iter().find(|field| field.from == name);
    let own = camel_case(name);
    let to = field.map_or(own.as_str(), |field| field.to);
    let value = match field.map_or(How::Same, |field| field.how) {
        // Written as an attribute, a block is a list of objects; rules do not look that far.
        How::Same | How::Block(_) | How::Blocks(_) => value.clone(),
        How::Document => value.parsed(),
        How::ApiDocument => capitalised(&value.parsed()),
        How::NamesAndValues => pairs(value, "Name"),
        How::KeysAndValues => pairs(value, "Key"),
        How::Enabled => match truth(&value.value) {
            Some(on) => {
                Evaluated::made_of(if on { "ENABLED" } else { "DISABLED" }, std::slice::from_ref(value))
            }
            None => value.clone(),
        },
        How::OnlyItem => only_item(value),
        How::Nothing => return,
    };
    // A list's first item is written as such.
    match to.strip_suffix("/0") {
        Some(list) => found.put(list, &Evaluated::array([value])),
        None => found.put(to, &value),
    }
}

/// The blocks by their kind; a `dynamic` one is of the kind that it makes, as often as cannot be told.
fn blocks_by_kind(body: &Body) -> BTreeMap<String, Vec<&Body>> {
    let mut kinds = BTreeMap::<String, Vec<&Body>>::new();
    for block in body.blocks().filter(|block| !META.contains(&block.identifier())) {
        let made = block.labels.first().filter(|_| block.identifier() == "dynamic");
        let kind = made.map_or(block.identifier(), hcl::BlockLabel::as_str);
        let content = made.and_then(|_| block.body.blocks().find(|inner| inner.identifier() == "content"));
        kinds.entry(kind.to_owned()).or_default().push(content.map_or(&block.body, |content| &content.body));
    }
    kinds
}

fn put_blocks(evaluator: &Evaluator<'_>, found: &mut Evaluated, kind: &str, bodies: &[&Body], shape: &Shape) {
    let field = shape.fields.iter().find(|field| field.from == kind);
    let own = camel_case(kind);
    let to = field.map_or(own.as_str(), |field| field.to);
    let list = |shape: &Shape| Evaluated::array(bodies.iter().map(|body| properties(evaluator, body, shape)));
    let value = match (field.map(|field| field.how), bodies) {
        (Some(How::Nothing), _) => return,
        (Some(How::Blocks(inner)), _) => list(inner),
        (Some(How::Block(inner)), [only, ..]) => properties(evaluator, only, inner),
        (_, [only]) => properties(evaluator, only, &PLAIN),
        _ => list(&PLAIN),
    };
    found.put(to, &value);
}

fn pairs(map: &Evaluated, key: &str) -> Evaluated {
    if !map.value.is_object() {
        return map.clone();
    }
    Evaluated::array(map.entries().into_iter().map(|(name, value)| {
        Evaluated::object([(key.to_owned(), Evaluated::known(name)), ("Value".to_owned(), value)])
    }))
}

fn only_item(list: &Evaluated) -> Evaluated {
    match list.items().as_slice() {
        [only] => only.clone(),
        [] => Evaluated::default(),
        all => {
            Evaluated::made_of(all.iter().map(|item| plain(&item.value)).collect::<Vec<_>>().join(","), all)
        }
    }
}

/// The API's names with a capital, as CloudFormation has them.
fn capitalised(value: &Evaluated) -> Evaluated {
    match &value.value {
        Value::Array(_) => Evaluated::array(value.items().iter().map(capitalised)),
        Value::Object(_) => Evaluated::object(value.entries().into_iter().map(|(key, entry)| {
            let entry = if USERS_NAMES.contains(&key.as_str()) { entry } else { capitalised(&entry) };
            (capital(&key), entry)
        })),
        _ => value.clone(),
    }
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
