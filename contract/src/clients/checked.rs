//! Reduces a schema to the keywords that a client checks.

use serde_json::{Map, Number, Value};

/// The keywords whose value is a schema.
const SCHEMA: [&str; 4] = ["not", "items", "propertyNames", "additionalProperties"];
/// The keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// The keywords whose value is a table of schemas.
const TABLE: [&str; 4] = ["$defs", "definitions", "properties", "patternProperties"];
/// The keywords that are kept unchanged.
const PLAIN: [&str; 16] = [
    "$ref",
    "type",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];
/// The keywords that describe values without restricting them.
const ANNOTATIONS: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
];

/// The formats that schemars gives to integers, with their bounds.
const INTEGERS: [(&str, i128, i128); 8] = [
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
];

/// Returns a schema in which integers have the bounds of their format: a worker refuses values outside these bounds.
///
/// ```
/// use drumline_contract::clients::with_integer_bounds;
/// use serde_json::json;
///
/// let schema = json!({ "title": "Size", "type": "integer", "format": "uint16", "minimum": 1 });
/// assert_eq!(with_integer_bounds(&schema)["maximum"], 65535);
/// ```
pub fn with_integer_bounds(schema: &Value) -> Value {
    Reduction { keeps_all: true, unchecked: &mut |_, _| {} }.schema(schema, "")
}

/// Returns the part of a schema that clients check. Reports each keyword that they do not check, with its place in the schema.
pub(super) fn checked(schema: &Value, unchecked: &mut dyn FnMut(&str, &str)) -> Value {
    Reduction { keeps_all: false, unchecked }.schema(schema, "")
}

struct Reduction<'a> {
    /// True if keywords that clients do not check are kept, too.
    keeps_all: bool,
    unchecked: &'a mut dyn FnMut(&str, &str),
}

impl Reduction<'_> {
    fn schema(&mut self, schema: &Value, at: &str) -> Value {
        let Value::Object(keywords) = schema else { return schema.clone() };
        let mut kept = Map::new();
        for (keyword, value) in keywords {
            if let Some(value) = self.keyword(keyword, value, at) {
                kept.insert(keyword.clone(), value);
            }
        }
        bound(&mut kept, keywords.get("format"));
        Value::Object(kept)
    }

    /// Returns the value of a keyword that is kept.
    fn keyword(&mut self, keyword: &str, value: &Value, at: &str) -> Option<Value> {
        let inner = |part: &str| format!("{at}/{part}");
        match value {
            Value::Object(_) | Value::Bool(_) if SCHEMA.contains(&keyword) => {
                return Some(self.schema(value, &inner(keyword)));
            }
            Value::Array(parts) if LIST.contains(&keyword) => {
                let parts = parts.iter().enumerate();
                return Some(
                    parts
                        .map(|(index, part)| self.schema(part, &inner(&format!("{keyword}/{index}"))))
                        .collect(),
                );
            }
            Value::Object(parts) if TABLE.contains(&keyword) => {
                let mut kept = Map::new();
                for (name, part) in parts {
                    let is_unknown = !self.keeps_all && keyword == "patternProperties" && !is_portable(name);
                    if is_unknown {
                        (self.unchecked)(at, "patternProperties");
                    } else {
                        kept.insert(name.clone(), self.schema(part, &inner(&format!("{keyword}/{name}"))));
                    }
                }
                return Some(Value::Object(kept));
            }
            _ if self.keeps_all => return Some(value.clone()),
            _ if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-") => return None,
            Value::Array(_) if keyword == "required" => return Some(value.clone()),
            Value::String(pattern) if keyword == "pattern" && !is_portable(pattern) => {}
            _ if PLAIN.contains(&keyword) => return Some(value.clone()),
            _ => {}
        }
        (self.unchecked)(at, keyword);
        None
    }
}

/// Gives an integer the bounds of its format, unless it has narrower ones.
fn bound(schema: &mut Map<String, Value>, format: Option<&Value>) {
    let is_integer = schema.get("type").is_some_and(|named| match named {
        Value::Array(types) => types.iter().any(|named| named == "integer"),
        named => named == "integer",
    });
    let format = format.and_then(Value::as_str);
    let Some((_, least, most)) = INTEGERS.iter().find(|(name, ..)| is_integer && format == Some(name)) else {
        return;
    };
    let given = |schema: &Map<String, Value>, keyword: &str| {
        schema.get(keyword).and_then(Value::as_number)?.as_i128()
    };
    if given(schema, "minimum").is_none_or(|given| given < *least) {
        schema.insert("minimum".to_owned(), number(*least));
    }
    if given(schema, "maximum").is_none_or(|given| given > *most) {
        schema.insert("maximum".to_owned(), number(*most));
    }
}

fn number(integer: i128) -> Value {
    Value::Number(Number::from_i128(integer).expect("bounds of 64 bits are numbers of JSON"))
}

/// Returns true if a regular expression has the same meaning in Rust, Python and JavaScript, as far as a quick check can
/// determine.
fn is_portable(pattern: &str) -> bool {
    let special = [r"(?", "[[", "[:", "&&", "--", "~~"];
    if special.iter().any(|part| pattern.replace("(?:", "(").contains(part)) {
        return false;
    }
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '[' => in_class = true,
            ']' => in_class = false,
            '\\' => match characters.next() {
                Some(escaped) if r"dDwWbBnrt.\/^$*+?()[]{}|".contains(escaped) => {}
                Some('-') if in_class => {}
                _ => return false,
            },
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_checked_is_reported_with_its_place() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Order",
            "type": "object",
            "properties": {
                "title": { "type": "string", "pattern": r"^\p{L}+$", "x-note": 1 },
                "count": { "type": ["integer", "null"], "format": "uint64" },
                "days": { "type": "array", "contains": { "const": 1 }, "items": { "$ref": "#/$defs/Day" } },
            },
            "patternProperties": { r"^\d+$": true, r"\h": true },
            "unevaluatedProperties": false,
            "required": ["title"],
            "$defs": { "Day": { "description": "A day", "type": "string", "format": "date" } },
        });
        let mut unchecked = Vec::new();
        let checked = checked(&schema, &mut |at, keyword| unchecked.push(format!("{at} {keyword}")));
        assert_eq!(
            checked,
            json!({
                "type": "object",
                "properties": {
                    "title": { "type": "string" },
                    "count": { "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX },
                    "days": { "type": "array", "items": { "$ref": "#/$defs/Day" } },
                },
                "patternProperties": { r"^\d+$": true },
                "required": ["title"],
                "$defs": { "Day": { "type": "string" } },
            })
        );
        unchecked.sort();
        assert_eq!(
            unchecked,
            [
                " patternProperties",
                " unevaluatedProperties",
                "/properties/days contains",
                "/properties/title pattern"
            ]
        );
    }

    #[test]
    fn closer_bounds_win() {
        for (given, least, most) in [
            (json!({ "type": "integer", "format": "int8" }), -128, 127),
            (json!({ "type": "integer", "format": "uint8", "minimum": 1, "maximum": 100 }), 1, 100),
            (json!({ "type": "integer", "format": "uint8", "minimum": -5, "maximum": 1000 }), 0, 255),
        ] {
            let bound = with_integer_bounds(&given);
            assert_eq!((&bound["minimum"], &bound["maximum"]), (&json!(least), &json!(most)), "{given}");
        }
        let number = json!({ "type": "number" });
        assert_eq!(checked(&json!({ "type": "number", "format": "double" }), &mut |_, _| {}), number);
    }

    #[test]
    fn only_patterns_that_mean_the_same_everywhere_are_kept() {
        for pattern in [r"^[A-Z]{3}$", r"^(?:a|b)\.\d+$", r"[\w\-]+", "^s3://[^/]+/.+$"] {
            assert!(is_portable(pattern), "{pattern}");
        }
        for pattern in
            [r"\p{L}", "(?i)a", r"\Aa\z", "[[:alpha:]]", r"a\-b", "[a-z&&[^b]]", r"(?<n>a)", r"\s", "a\\"]
        {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
