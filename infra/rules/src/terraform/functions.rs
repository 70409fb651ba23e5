//! The functions that modules of queues use. See
//! [the reference](https://developer.hashicorp.com/terraform/language/functions). Other functions return an unknown value.

use serde_json::Value;

use super::evaluated::{Evaluated, MAX_TEXT};
use crate::value::{int, is_known, number, plain, truth};

pub(super) fn call(name: &str, arguments: &[Evaluated]) -> Evaluated {
    keeping_parts(name, arguments)
        .or_else(|| {
            let values: Vec<&Value> = arguments.iter().map(|argument| &argument.value).collect();
            let known = values.iter().all(|value| is_known(value));
            let value = if known { of_known(name, &values) } else { of_any(name, &values) };
            value.map(|value| Evaluated::made_of(value, arguments))
        })
        .unwrap_or_else(|| Evaluated::unknown(name, arguments))
}

/// Evaluates functions whose result still shows the origin of its parts.
fn keeping_parts(name: &str, arguments: &[Evaluated]) -> Option<Evaluated> {
    match (name, arguments) {
        ("jsonencode", [value]) => Some(value.to_json()),
        ("jsondecode", [text]) => Some(text.parsed()).filter(|value| !value.value.is_string()),
        ("tolist" | "tomap" | "nonsensitive" | "sensitive", [value]) => Some(value.clone()),
        ("toset", [value]) if value.value.is_array() => Some(value.clone()),
        ("tonumber", [value]) if value.value.is_number() => Some(value.clone()),
        ("merge", maps) if maps.iter().all(|map| map.value.is_object()) => {
            Some(Evaluated::object(maps.iter().flat_map(Evaluated::entries)).and_refers_as_wholes(maps))
        }
        // An unknown list counts as one unknown item, and the other lists are still known.
        ("concat", lists) => {
            let items = |list: &Evaluated| {
                if list.value.is_array() { list.items() } else { vec![list.clone()] }
            };
            Some(Evaluated::array(lists.iter().flat_map(items)).and_refers_as_wholes(lists))
        }
        ("flatten", [list]) if list.value.is_array() => Some(Evaluated::array(flattened(list))),
        ("compact", [list]) if list.value.is_array() => {
            let is_there = |item: &Evaluated| !plain(&item.value).is_empty();
            Some(Evaluated::array(list.items().into_iter().filter(is_there)))
        }
        ("lookup", [map, key, rest @ ..]) if map.value.is_object() && is_known(&key.value) => {
            map.get(&plain(&key.value)).or_else(|| rest.first().cloned())
        }
        ("element", [list, index]) => {
            let count = i64::try_from(list.value.as_array()?.len()).ok().filter(|count| *count > 0)?;
            list.get(&int(&index.value)?.rem_euclid(count).to_string())
        }
        // Evaluation cannot fail here, so the first argument is as good as any.
        ("try", [first, ..]) => Some(first.clone()),
        ("coalesce", values) => values.iter().find(|value| !plain(&value.value).is_empty()).cloned(),
        ("one", [list]) if list.value.is_array() => Some(list.items().into_iter().next().unwrap_or_default()),
        _ => None,
    }
}

fn flattened(list: &Evaluated) -> Vec<Evaluated> {
    let inner = |item: Evaluated| if item.value.is_array() { flattened(&item) } else { vec![item] };
    list.items().into_iter().flat_map(inner).collect()
}

/// Evaluates functions whose arguments may contain values known only after the deployment.
fn of_any(name: &str, values: &[&Value]) -> Option<Value> {
    match (name, values) {
        ("tostring", [value]) if value.is_string() => Some((*value).clone()),
        ("join", [delimiter, list]) if is_known(delimiter) => joined(delimiter, list),
        ("format", [template, rest @ ..]) if is_known(template) => format(template.as_str()?, rest),
        ("length", [Value::Array(items)]) => Some(items.len().into()),
        ("length", [Value::Object(map)]) => Some(map.len().into()),
        ("keys", [Value::Object(map)]) => Some(map.keys().map(|key| Value::from(key.as_str())).collect()),
        ("values", [Value::Object(map)]) => Some(map.values().cloned().collect()),
        _ => None,
    }
}

fn of_known(name: &str, values: &[&Value]) -> Option<Value> {
    let texts = |of: fn(&str, &str) -> bool, left: &Value, right: &Value| {
        Some(Value::from(of(left.as_str()?, right.as_str()?)))
    };
    match (name, values) {
        ("tostring", [value]) => (!value.is_array() && !value.is_object()).then(|| plain(value).into()),
        ("tobool", [value]) => truth(value).map(Value::from),
        ("tonumber", [value]) => int(value).map(Value::from).or_else(|| number(value).map(Value::from)),
        ("length", [Value::String(text)]) => Some(text.chars().count().into()),
        ("contains", [Value::Array(items), item]) => Some(items.contains(item).into()),
        ("startswith", [text, start]) => texts(|text, start| text.starts_with(start), text, start),
        ("endswith", [text, end]) => texts(|text, end| text.ends_with(end), text, end),
        ("lower", [text]) => Some(text.as_str()?.to_lowercase().into()),
        ("upper", [text]) => Some(text.as_str()?.to_uppercase().into()),
        ("trimspace", [text]) => Some(text.as_str()?.trim().into()),
        ("trimsuffix", [text, end]) => Some(without_end(text.as_str()?, end.as_str()?).into()),
        ("replace", [text, from, to]) if !is_pattern(from) => {
            replaced(text.as_str()?, from.as_str()?, to.as_str()?)
        }
        ("split", [delimiter, text]) => {
            let delimiter = delimiter.as_str().filter(|delimiter| !delimiter.is_empty())?;
            Some(text.as_str()?.split(delimiter).map(Value::from).collect())
        }
        ("substr", [text, from, length]) => {
            let from = usize::try_from(int(from)?).ok()?;
            let length = usize::try_from(int(length)?).unwrap_or(usize::MAX);
            Some(text.as_str()?.chars().skip(from).take(length).collect::<String>().into())
        }
        ("min", numbers) => extreme(numbers, f64::min),
        ("max", numbers) => extreme(numbers, f64::max),
        ("ceil", [value]) => whole(number(value)?.ceil()),
        ("floor", [value]) => whole(number(value)?.floor()),
        ("alltrue", [Value::Array(items)]) => Some(items.iter().all(|item| truth(item) == Some(true)).into()),
        ("anytrue", [Value::Array(items)]) => Some(items.iter().any(|item| truth(item) == Some(true)).into()),
        _ => of_any(name, values),
    }
}

fn joined(delimiter: &Value, list: &Value) -> Option<Value> {
    let items: Vec<String> = list.as_array()?.iter().map(plain).collect();
    let delimiter = delimiter.as_str()?;
    let length: usize = items.iter().map(|item| item.len() + delimiter.len()).sum();
    (length <= MAX_TEXT).then(|| items.join(delimiter).into())
}

fn replaced(text: &str, from: &str, to: &str) -> Option<Value> {
    let grown = text.matches(from).count().saturating_mul(to.len()).saturating_add(text.len());
    (grown <= MAX_TEXT).then(|| text.replace(from, to).into())
}

/// Supports only `%s`, `%d` and `%v`.
fn format(template: &str, values: &[&Value]) -> Option<Value> {
    let mut values = values.iter();
    let mut text = String::new();
    let mut letters = template.chars();
    while let Some(letter) = letters.next() {
        if text.len() > MAX_TEXT {
            return None;
        }
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => text.push('%'),
            's' | 'd' | 'v' => text.push_str(&plain(values.next()?)),
            _ => return None,
        }
    }
    Some(text.into())
}

/// Returns true for a text between slashes, which `replace` treats as a regular expression.
fn is_pattern(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.len() > 1 && text.starts_with('/') && text.ends_with('/'))
}

fn without_end<'a>(text: &'a str, end: &str) -> &'a str {
    text.strip_suffix(end).unwrap_or(text)
}

fn extreme(values: &[&Value], of: fn(f64, f64) -> f64) -> Option<Value> {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
    let extreme = numbers?.into_iter().reduce(of)?;
    whole(extreme).or_else(|| Some(Value::from(extreme)))
}

fn whole(number: f64) -> Option<Value> {
    int(&Value::from(number)).map(Value::from)
}
