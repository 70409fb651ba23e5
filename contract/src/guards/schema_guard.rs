//! Checks a payload against the JSON Schema of its type.

use std::fmt;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::pointer::field;
use super::shown_names::push_name;
use crate::clients::with_integer_bounds;

/// The largest number of problems that are reported for one payload.
const MAX_PROBLEMS: usize = 20;

/// The largest number of choices that a text lists.
const MAX_CHOICES: usize = 10;

/// A JSON Schema for checking payloads. Its draft is that of `$schema`, otherwise 2020-12.
///
/// ```
/// use drumline_contract::guards::SchemaGuard;
/// use serde_json::json;
///
/// let schema = SchemaGuard::new(&json!({"type": "object", "properties": {"userId": {"type": "integer"}}}))?;
/// assert!(schema.check(&json!({"userId": 7})).is_ok());
/// let problems = schema.check(&json!({"userId": "seven"})).unwrap_err();
/// assert_eq!(problems[0].to_string(), "payload.userId is a string, and must be an integer");
/// # Ok::<(), drumline_contract::guards::InvalidSchema>(())
/// ```
#[derive(Debug, Clone)]
pub struct SchemaGuard {
    validator: Validator,
}

/// The reason why a schema cannot be used to check payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSchema(String);

/// A field of a payload that does not fit the schema. Its text names the field and the reason, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaProblem {
    /// The field in the payload ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)), which may be missing. A name that is
    /// itself a secret, a token, a card number or an address is replaced by `*`.
    pub pointer: String,
    /// The schema keyword that the field does not satisfy, such as `required`.
    pub keyword: String,
    /// The reason, as the end of a sentence about the field.
    pub reason: String,
}

impl SchemaGuard {
    /// Reads a schema. References are followed only inside it: no document is fetched. Integers have the bounds of their
    /// format, such as `uint32`, like a worker's types.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a schema, or refers to another document.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        let validator = jsonschema::options().offline().build(&with_integer_bounds(schema));
        validator.map(|validator| Self { validator }).map_err(|error| InvalidSchema(error.to_string()))
    }

    /// Accepts a payload that fits.
    ///
    /// # Errors
    ///
    /// Returns the fields that do not fit, at most 20.
    pub fn check(&self, payload: &Value) -> Result<(), Vec<SchemaProblem>> {
        let problems: Vec<_> =
            self.validator.iter_errors(payload).take(MAX_PROBLEMS).map(|error| problem(&error)).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl fmt::Display for SchemaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", field("payload", &self.pointer), self.reason)
    }
}

impl std::error::Error for SchemaProblem {}

impl fmt::Display for InvalidSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the schema cannot be used: {}", self.0)
    }
}

impl std::error::Error for InvalidSchema {}

fn problem(error: &ValidationError<'_>) -> SchemaProblem {
    let alternatives = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => &**context,
        _ => &[],
    };
    // The alternative whose errors are all inside the value is the intended one: `Option<Address>` is null or an address.
    let depth = |error: &ValidationError<'_>| pointer(error).matches('/').count();
    let is_meant = |errors: &&Vec<ValidationError<'static>>| {
        !errors.is_empty() && errors.iter().all(|inner| is_inside(inner, depth(inner), depth(error)))
    };
    if let Some(inner) = alternatives.iter().find(is_meant).and_then(|errors| errors.first()) {
        return problem(inner);
    }
    let mut pointer = pointer(error);
    if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
        push_name(&mut pointer, name);
    }
    if is_unknown_field(error) {
        let reason = "has fields that the schema does not know".to_owned();
        return SchemaProblem { pointer, keyword: "additionalProperties".to_owned(), reason };
    }
    SchemaProblem { pointer, keyword: error.kind().keyword().to_owned(), reason: reason(error) }
}

/// Returns true if a schema without fields was applied to an object with fields.
fn is_unknown_field(error: &ValidationError<'_>) -> bool {
    let is_false = matches!(error.kind(), ValidationErrorKind::FalseSchema);
    is_false && error.schema_path().as_str().ends_with("/additionalProperties")
}

/// Returns true if a value has the right type, but its content does not fit.
fn is_inside(error: &ValidationError<'_>, depth: usize, outside: usize) -> bool {
    let is_about_fields = matches!(
        error.kind(),
        ValidationErrorKind::Required { .. } | ValidationErrorKind::AdditionalProperties { .. }
    );
    depth > outside || is_about_fields
}

/// Returns the pointer to the value, without hidden names.
fn pointer(error: &ValidationError<'_>) -> String {
    let mut pointer = String::new();
    for part in error.instance_path().as_str().split('/').skip(1) {
        push_name(&mut pointer, &part.replace("~1", "/").replace("~0", "~"));
    }
    pointer
}

fn reason(error: &ValidationError<'_>) -> String {
    let counted = |least_or_most: &str, limit: u64, thing: &str, things: &str| {
        format!("must have at {least_or_most} {limit} {}", if limit == 1 { thing } else { things })
    };
    match error.kind() {
        ValidationErrorKind::Required { .. } => "is missing".to_owned(),
        ValidationErrorKind::Type { kind } => {
            format!("is {}, and must be {}", type_of(error.instance()), types(kind))
        }
        ValidationErrorKind::Enum { options } => match options.as_array() {
            Some(options) if options.len() <= MAX_CHOICES => {
                format!("must be one of {}", joined(options.iter().map(Value::to_string), "or"))
            }
            _ => "is none of the values that the schema lists".to_owned(),
        },
        ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter().take(MAX_CHOICES).map(|name| format!("{:?}", shown(name)));
            format!("has fields that the schema does not know: {}", joined(names, "and"))
        }
        ValidationErrorKind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::UnevaluatedItems { .. } => "has items that the schema does not know".to_owned(),
        ValidationErrorKind::PropertyNames { .. } => {
            "has a field whose name the schema does not allow".to_owned()
        }
        ValidationErrorKind::MinLength { limit } => counted("least", *limit, "character", "characters"),
        ValidationErrorKind::MaxLength { limit } => counted("most", *limit, "character", "characters"),
        ValidationErrorKind::MinItems { limit } => counted("least", *limit, "item", "items"),
        ValidationErrorKind::MaxItems { limit } => counted("most", *limit, "item", "items"),
        ValidationErrorKind::MinProperties { limit } => counted("least", *limit, "field", "fields"),
        ValidationErrorKind::MaxProperties { limit } => counted("most", *limit, "field", "fields"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        ValidationErrorKind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        ValidationErrorKind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        ValidationErrorKind::Format { format } => format!("is no {format}"),
        ValidationErrorKind::UniqueItems => "has an item twice".to_owned(),
        ValidationErrorKind::Contains => "has no item that the schema requires".to_owned(),
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            "has none of the forms that the schema allows".to_owned()
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "has several of the forms of which the schema allows one".to_owned()
        }
        ValidationErrorKind::Not { .. } => "has a form that the schema excludes".to_owned(),
        ValidationErrorKind::FalseSchema => "must not be there".to_owned(),
        ValidationErrorKind::ContentEncoding { content_encoding } => format!("is no {content_encoding}"),
        ValidationErrorKind::FromUtf8 { .. } => "is not encoded text".to_owned(),
        ValidationErrorKind::ContentMediaType { content_media_type } => format!("is no {content_media_type}"),
        ValidationErrorKind::BacktrackLimitExceeded { .. }
        | ValidationErrorKind::RegexEngineFailure { .. } => {
            "could not be matched with the schema's pattern".to_owned()
        }
        // Their own texts may contain the value.
        ValidationErrorKind::Custom { .. } | ValidationErrorKind::Referencing(_) => {
            "does not fit the schema".to_owned()
        }
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => with_article(one.as_str()).to_owned(),
        TypeKind::Multiple(several) => {
            joined(several.iter().map(|one| with_article(one.as_str()).to_owned()), "or")
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    with_article(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn with_article(name: &str) -> &'static str {
    match name {
        "null" => "null",
        "boolean" => "a boolean",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a string",
        "array" => "an array",
        _ => "an object",
    }
}

/// Joins texts: `a, b or c`.
fn joined(texts: impl Iterator<Item = String>, last_word: &str) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} {last_word} {last}", first.join(", ")),
        _ => texts.concat(),
    }
}

/// Returns a name as it appears in a pointer.
fn shown(name: &str) -> String {
    let mut pointer = String::new();
    push_name(&mut pointer, name);
    pointer[1..].replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
#[path = "schema_guard_tests.rs"]
mod tests;
