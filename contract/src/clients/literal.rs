//! Writes JSON values as literals of a language.

use serde_json::{Number, Value};

/// The line length from which values are broken into several lines.
const LINE: usize = 100;

/// A language's notation of JSON values.
pub(super) struct Dialect {
    pub(super) null: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) indent: &'static str,
    /// The brackets of a list.
    pub(super) brackets: (&'static str, &'static str),
    /// The brackets of an object on one line.
    pub(super) braces: (&'static str, &'static str),
    /// Writes the name of a field.
    pub(super) key: fn(&str) -> String,
    pub(super) number: fn(&Number) -> String,
}

impl Dialect {
    /// Returns a literal. The caller indents its first line; its further lines are at `depth`, with a trailing comma.
    pub(super) fn write(&self, value: &Value, depth: usize) -> String {
        let on_one_line = self.on_one_line(value);
        if depth * self.indent.len() + on_one_line.len() <= LINE {
            return on_one_line;
        }
        let inner = self.indent.repeat(depth + 1);
        let (open, lines, close): (_, Vec<String>, _) = match value {
            Value::Array(items) => {
                let (open, close) = self.brackets;
                (open, items.iter().map(|item| self.write(item, depth + 1)).collect(), close)
            }
            Value::Object(fields) => {
                let line = |(name, value): (&String, &Value)| {
                    format!("{}: {}", (self.key)(name), self.write(value, depth + 1))
                };
                ("{", fields.iter().map(line).collect(), "}")
            }
            _ => return on_one_line,
        };
        let lines: Vec<String> = lines.iter().map(|line| format!("{inner}{line},")).collect();
        format!("{open}\n{}\n{}{close}", lines.join("\n"), self.indent.repeat(depth))
    }

    pub(super) fn on_one_line(&self, value: &Value) -> String {
        match value {
            Value::Null => self.null.to_owned(),
            Value::Bool(true) => self.yes.to_owned(),
            Value::Bool(false) => self.no.to_owned(),
            Value::Number(number) => (self.number)(number),
            Value::String(text) => quoted(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.on_one_line(item)).collect();
                let (open, close) = self.brackets;
                // Without a comma, a tuple of one element would be the element itself.
                let end = if open == "(" && items.len() == 1 { "," } else { "" };
                format!("{open}{}{end}{close}", items.join(", "))
            }
            Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    format!("{}: {}", (self.key)(name), self.on_one_line(value))
                };
                let fields: Vec<String> = fields.iter().map(field).collect();
                let (open, close) = self.braces;
                format!("{open}{}{close}", fields.join(", "))
            }
        }
    }
}

/// Returns the lines of a text, each with this prefix.
pub(super) fn lines_with(beginning: &str, text: &str) -> String {
    let line = |line: &str| format!("{beginning}{line}").trim_end().to_owned() + "\n";
    text.lines().fold(String::new(), |lines, next| lines + &line(next))
}

/// Returns a text in double quotes, with escapes that JSON and both languages share.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}
