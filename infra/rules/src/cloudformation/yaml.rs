//! Converts YAML, and JSON as a subset of it, to plain JSON with a line for every value. Short tags (`!Sub`) become the long
//! form (`{"Fn::Sub": …}`), so that later code knows only one spelling.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

/// The maximum nesting of values. Templates of hundreds of resources stay below twenty, and recursion over values is safe up to
/// here.
const MAX_DEPTH: usize = 64;

/// The maximum number of values of a document, with aliases expanded, against documents that grow by expansion. Templates
/// contain at most 1 MB of text.
const MAX_VALUES: usize = 500_000;

/// A document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) root: Value,
    /// Lines, by JSON pointer.
    pub(crate) lines: BTreeMap<String, usize>,
}

/// The reason why a document cannot be read.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The text is not valid YAML 1.2.
    Syntax,
    /// The text is valid YAML, and cannot be a template.
    TooMuch(String),
}

/// Parses the first document of a text.
pub(crate) fn parse(text: &str) -> Result<Document, Problem> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|_| Problem::Syntax)?;
        let line = span.start.line();
        let problem = |problem: &str| Problem::TooMuch(format!("{problem} at line {line}"));
        match event {
            Event::DocumentEnd => break,
            Event::Scalar(text, style, anchor, tag) => {
                builder.value(scalar(text, style, tag.as_deref()), anchor, line).map_err(problem)?;
            }
            Event::SequenceStart(anchor, tag) => {
                let open = Open {
                    value: Value::Array(Vec::new()),
                    key: None,
                    anchor,
                    tag: name(tag.as_deref()),
                    line,
                };
                builder.open(open).map_err(problem)?;
            }
            Event::MappingStart(anchor, tag) => {
                let open = Open {
                    value: Value::Object(Map::new()),
                    key: None,
                    anchor,
                    tag: name(tag.as_deref()),
                    line,
                };
                builder.open(open).map_err(problem)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close().map_err(problem)?,
            Event::Alias(anchor) => builder.alias(anchor, line).map_err(problem)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
    }
    let mut document = Document { root: builder.root.unwrap_or_default(), lines: builder.lines };
    document.lines.entry(String::new()).or_insert(1);
    Ok(document)
}

/// A value that is not complete yet.
struct Open {
    value: Value,
    /// The key of the incomplete entry, in a mapping.
    key: Option<String>,
    anchor: usize,
    tag: Option<String>,
    line: usize,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    pointers: Vec<usize>,
    pointer: String,
    root: Option<Value>,
    lines: BTreeMap<String, usize>,
    /// Anchors, with the number of their values.
    anchors: BTreeMap<usize, (Value, usize)>,
    values: usize,
}

impl Builder {
    fn open(&mut self, open: Open) -> Result<(), &'static str> {
        if self.stack.len() >= MAX_DEPTH {
            return Err("nested too deep");
        }
        if matches!(self.stack.last(), Some(Open { value: Value::Object(_), key: None, .. })) {
            return Err("a key that is no text");
        }
        self.descend(open.line);
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        self.ascend();
        let value = tagged(open.value, open.tag.as_deref());
        self.put(value, open.anchor)
    }

    /// Adds a value without inner ones.
    fn value(&mut self, value: Value, anchor: usize, line: usize) -> Result<(), &'static str> {
        if let Some(Open { value: Value::Object(_), key: key @ None, .. }) = self.stack.last_mut() {
            *key = Some(match value {
                Value::String(text) => text,
                other => other.to_string(),
            });
            return Ok(());
        }
        self.descend(line);
        self.ascend();
        self.put(value, anchor)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), &'static str> {
        let (value, count) = self.anchors.get(&anchor).cloned().unwrap_or((Value::Null, 1));
        self.values += count;
        if self.values > MAX_VALUES {
            return Err("too large");
        }
        if depth(&value) + self.stack.len() > MAX_DEPTH {
            return Err("nested too deep");
        }
        self.value(value, 0, line)
    }

    fn put(&mut self, value: Value, anchor: usize) -> Result<(), &'static str> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err("too large");
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), count(&value)));
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(value);
            }
            Some(Open { value: Value::Array(items), .. }) => items.push(value),
            Some(Open { value: Value::Object(map), key, .. }) => {
                let key = key.take().unwrap_or_default();
                if key == "<<" && value.is_object() {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        map.entry(key).or_insert_with(|| value.clone());
                    }
                } else {
                    map.insert(key, value);
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Moves to the next value, and records its line.
    fn descend(&mut self, line: usize) {
        self.pointers.push(self.pointer.len());
        match self.stack.last() {
            Some(Open { value: Value::Array(items), .. }) => {
                self.pointer = format!("{}/{}", self.pointer, items.len());
            }
            Some(Open { key: Some(key), .. }) => {
                self.pointer = format!("{}/{}", self.pointer, escape(key));
            }
            _ => {}
        }
        self.lines.insert(self.pointer.clone(), line);
    }

    fn ascend(&mut self) {
        self.pointer.truncate(self.pointers.pop().unwrap_or(0));
    }
}

/// Escapes a key for a JSON pointer.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Returns the name of a short tag. `None` for YAML's own tags.
fn name(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| tag.handle == "!" && !tag.suffix.is_empty()).map(|tag| tag.suffix.clone())
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    if let Some(name) = name(tag) {
        return tagged(Value::String(text.into_owned()), Some(&name));
    }
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(text.into_owned());
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(&text).map_or_else(|| Value::String(text.into_owned()), Value::Number),
    }
}

/// Parses a number. Returns `None` for a text that only looks like one, such as an account with a leading zero.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit())
        || digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
    {
        return None;
    }
    text.parse::<i64>().ok().map(Number::from).or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

/// Converts a short tag's value to the long form.
pub(super) fn tagged(value: Value, tag: Option<&str>) -> Value {
    let Some(tag) = tag else { return value };
    let (key, value) = match (tag, value) {
        ("Ref" | "Condition", value) => (tag.to_owned(), value),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (_, value) => (format!("Fn::{tag}"), value),
    };
    Value::Object(Map::from_iter([(key, value)]))
}
