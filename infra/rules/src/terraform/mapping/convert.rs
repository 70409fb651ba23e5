//! Converts a resource's block to properties, by the shape of its type.

use std::collections::BTreeMap;

use hcl::{Body, Expression};
use serde_json::Value;

use super::shape::{Default, How, PLAIN, Shape};
use super::types::find;
use crate::terraform::evaluate::{Evaluator, Scope};
use crate::terraform::evaluated::Evaluated;
use crate::terraform::module::{attribute, block};
use crate::terraform::variables::camel_case;
use crate::value::{plain, truth};

/// Terraform's own blocks and attributes.
const META: [&str; 8] =
    ["lifecycle", "depends_on", "count", "for_each", "provider", "provisioner", "connection", "timeouts"];

/// Keys of the API's documents that contain user-defined names, which are not changed.
const USERS_NAMES: [&str; 3] = ["options", "dockerLabels", "driverOpts"];

/// Returns the properties of a resource. Properties of an unknown type only change their case.
pub(in crate::terraform) fn resource(evaluator: &Evaluator<'_>, kind: &str, body: &Body) -> Evaluated {
    let shape = find(kind).map_or(&PLAIN, |known| known.shape);
    let mut found = properties(evaluator, &Content { body, scope: Scope::new() }, shape);
    if ignores_changes(body, "desired_count") {
        // Only the initial value: a deployment does not change it.
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

/// The content of a block, and the names that exist only there.
struct Content<'a> {
    body: &'a Body,
    scope: Scope,
}

fn properties(evaluator: &Evaluator<'_>, content: &Content<'_>, shape: &Shape) -> Evaluated {
    let mut found = Evaluated::object([]);
    for attribute in content.body.attributes().filter(|attribute| !META.contains(&attribute.key())) {
        let value = evaluator.within(&attribute.expr, &content.scope);
        put_attribute(&mut found, attribute.key(), &value, shape);
    }
    for (kind, blocks) in blocks_by_kind(evaluator, content) {
        put_blocks(evaluator, &mut found, &kind, &blocks, shape);
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
        // A block written as an attribute is a list of objects. Rules do not read that.
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
    // The first item of a list is written as a single value.
    match to.strip_suffix("/0") {
        Some(list) => found.put(list, &Evaluated::array([value])),
        None => found.put(to, &value),
    }
}

/// Returns the blocks by their kind. A `dynamic` block has the kind of the blocks that it creates.
fn blocks_by_kind<'a>(
    evaluator: &Evaluator<'_>,
    content: &Content<'a>,
) -> BTreeMap<String, Vec<Content<'a>>> {
    let mut kinds = BTreeMap::<String, Vec<Content<'a>>>::new();
    for block in content.body.blocks().filter(|block| !META.contains(&block.identifier())) {
        let made = block.labels.first().filter(|_| block.identifier() == "dynamic");
        match made {
            Some(kind) => {
                let blocks = kinds.entry(kind.as_str().to_owned()).or_default();
                blocks.extend(made_blocks(evaluator, kind.as_str(), &block.body, &content.scope));
            }
            None => kinds
                .entry(block.identifier().to_owned())
                .or_default()
                .push(Content { body: &block.body, scope: content.scope.clone() }),
        }
    }
    kinds.retain(|_, blocks| !blocks.is_empty());
    kinds
}

/// Returns the blocks that a `dynamic` block creates: one for each item, or one if the items are known only after the
/// deployment.
fn made_blocks<'a>(
    evaluator: &Evaluator<'_>,
    kind: &str,
    dynamic: &'a Body,
    scope: &Scope,
) -> Vec<Content<'a>> {
    let Some(body) = block(dynamic, "content") else { return Vec::new() };
    let items =
        attribute(dynamic, "for_each").map(|items| evaluator.within(items, scope)).unwrap_or_default();
    let entries = if items.value.is_array() {
        let items = items.items().into_iter().enumerate();
        items.map(|(index, item)| (index.to_string(), item)).collect()
    } else if items.value.is_object() {
        items.entries()
    } else {
        return vec![Content { body, scope: scope.clone() }];
    };
    let iterator = match attribute(dynamic, "iterator") {
        Some(Expression::Variable(name)) => name.to_string(),
        _ => kind.to_owned(),
    };
    let with = |(key, value): (String, Evaluated)| {
        let item =
            Evaluated::object([("key".to_owned(), Evaluated::known(key)), ("value".to_owned(), value)]);
        let mut scope = scope.clone();
        scope.insert(iterator.clone(), item);
        Content { body, scope }
    };
    entries.into_iter().map(with).collect()
}

fn put_blocks(
    evaluator: &Evaluator<'_>,
    found: &mut Evaluated,
    kind: &str,
    blocks: &[Content<'_>],
    shape: &Shape,
) {
    let field = shape.fields.iter().find(|field| field.from == kind);
    let own = camel_case(kind);
    let to = field.map_or(own.as_str(), |field| field.to);
    let list =
        |shape: &Shape| Evaluated::array(blocks.iter().map(|content| properties(evaluator, content, shape)));
    let value = match (field.map(|field| field.how), blocks) {
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

/// Capitalises the API's names, as in CloudFormation.
fn capitalised(value: &Evaluated) -> Evaluated {
    // A reference of the whole is not one of each part: a part's own references show its origin.
    let (of_whole, parts) = value.apart();
    let changed = match &parts.value {
        Value::Array(_) => Evaluated::array(parts.items().iter().map(capitalised)),
        Value::Object(_) => Evaluated::object(parts.entries().into_iter().map(|(key, entry)| {
            let entry = if USERS_NAMES.contains(&key.as_str()) { entry } else { capitalised(&entry) };
            (capital(&key), entry)
        })),
        _ => return value.clone(),
    };
    of_whole.into_iter().fold(changed, Evaluated::and_refers)
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
