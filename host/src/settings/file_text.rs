//! Values of the file as texts, in the form of flags and variables.

use toml::Value;

/// Returns the text of a value of the file, or the expected form. A list becomes the text of a variable: its items, separated
/// by commas.
pub(super) fn text_of(value: &Value, lists: bool) -> Result<String, &'static str> {
    match value {
        Value::Array(items) if lists => {
            let items: Option<Vec<&str>> = items.iter().map(item).collect();
            let items = items.ok_or("must be a list of texts, each neither empty nor with a comma")?;
            Ok(items.join(", "))
        }
        _ if lists => text(value).ok_or("must be a text or a list of texts"),
        _ => text(value).ok_or("must be a text or a number"),
    }
}

/// Returns an item of a list. An empty one would disappear in the joined text, and one with a comma would become two.
fn item(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty() && !text.contains(','))
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
