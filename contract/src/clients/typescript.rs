//! Generates the TypeScript client: interfaces for payloads and jobs, and the table of schemas.

use std::fmt::Write as _;

use serde_json::Number;

use super::client_file::{Client, NoClient};
use super::literal::{Dialect, lines_with, quoted};
use super::names::is_identifier;
use super::payloads::{Payload, header, payloads};
use super::shape::{Definition, Field, Kind, Shape};
use super::tables;
use super::template::Template;
use crate::Contract;

const TEMPLATE: &str = include_str!("typescript.ts");

/// Global types that the generated ones use, and words that are not valid type names.
const TAKEN: [&str; 6] = ["Record", "Readonly", "Array", "Object", "String", "Number"];

const LITERALS: Dialect = Dialect {
    null: "null",
    yes: "true",
    no: "false",
    indent: "  ",
    brackets: ("[", "]"),
    braces: ("{ ", " }"),
    key,
    number,
};

const ALLOWING: &str = "pass new Guards({ allow: [\"{allow}\"] })";

pub(super) fn client(contract: &Contract, command: &str) -> Result<Client, NoClient> {
    let mut template = Template::new(TEMPLATE);
    let mut unchecked = Vec::new();
    let mut taken = template.words_without("contract");
    taken.extend(TAKEN.map(str::to_owned));
    let payloads = payloads(contract, taken, &mut unchecked)?;
    let mut text = String::from("\n");
    for payload in &payloads {
        text.extend(payload.definitions.iter().map(definition));
        text += &job(payload);
    }
    let jobs: Vec<&str> = payloads.iter().map(|payload| &*payload.job).collect();
    write!(text, "export type Job = {};\n\n", jobs.join(" | ")).expect("a string takes all");
    text += "const VERSIONS: Readonly<Record<string, number>> = {\n";
    for payload in payloads.iter().filter(|payload| payload.is_newest) {
        writeln!(text, "  {}: {},", key(&payload.job_type), payload.version).expect("a string takes all");
    }
    text += "};\n\nconst SCHEMAS: Readonly<Record<string, Schema | null>> = {\n";
    for payload in &payloads {
        let name = quoted(&format!("{} {}", payload.job_type, payload.version));
        writeln!(text, "  {name}: {},", LITERALS.write(&payload.schema, 1)).expect("a string takes all");
    }
    text += "};\n\n";
    template.section("contract", &text);
    let statement = |name: &str, value: &str| match name {
        "TEXTS" => format!("const TEXTS: Readonly<Record<string, string>> = {value};\n"),
        // Their parts are identified by position.
        "TOKENS" | "CARD_ISSUERS" | "CARD_GROUPS" | "CARD_DIGITS" => {
            format!("const {name} = {value} as const;\n")
        }
        name => format!("const {name} = {value};\n"),
    };
    template.section("tables", &tables::lines(ALLOWING, &LITERALS, statement));
    template.line("HEADER", &in_comment(&header(command)));
    Ok(Client { text: template.finish(), unchecked })
}

fn job(payload: &Payload) -> String {
    let version = if payload.is_newest { "version?" } else { "version" };
    format!(
        "{}export interface {} {{\n  type: {};\n  {version}: {};\n  payload: {};\n}}\n\n",
        comment(&payload.doc(), ""),
        payload.job,
        quoted(&payload.job_type),
        payload.version,
        of(&payload.shape)
    )
}

fn definition(definition: &Definition) -> String {
    let Definition { name, doc, kind } = definition;
    let doc = doc.as_deref().map(|doc| comment(doc, "")).unwrap_or_default();
    match kind {
        Kind::Alias(shape) => format!("{doc}export type {name} = {};\n\n", of(shape)),
        // An interface without fields would accept any value.
        Kind::Object(fields) if fields.is_empty() => {
            format!("{doc}export type {name} = Record<string, never>;\n\n")
        }
        Kind::Object(fields) => {
            let fields: String = fields.iter().map(field).collect();
            format!("{doc}export interface {name} {{\n{fields}}}\n\n")
        }
    }
}

fn field(field: &Field) -> String {
    let doc = field.doc.as_deref().map(|doc| comment(doc, "  ")).unwrap_or_default();
    let shape = of(&field.shape);
    let name = if is_identifier(&field.name) { field.name.clone() } else { quoted(&field.name) };
    if field.is_required {
        format!("{doc}  {name}: {shape};\n")
    } else {
        format!("{doc}  {name}?: {shape} | undefined;\n")
    }
}

fn of(shape: &Shape) -> String {
    let all = |shapes: &[Shape], between: &str| shapes.iter().map(of).collect::<Vec<_>>().join(between);
    match shape {
        Shape::Any => "unknown".to_owned(),
        Shape::Never => "never".to_owned(),
        Shape::Null => "null".to_owned(),
        Shape::Bool => "boolean".to_owned(),
        Shape::Integer { is_big: true } => "number | bigint".to_owned(),
        Shape::Integer { is_big: false } | Shape::Number => "number".to_owned(),
        Shape::Text => "string".to_owned(),
        Shape::Literals(values) => {
            values.iter().map(|value| LITERALS.on_one_line(value)).collect::<Vec<_>>().join(" | ")
        }
        Shape::List(item) => match of(item) {
            item if item.contains(' ') => format!("readonly ({item})[]"),
            item => format!("readonly {item}[]"),
        },
        Shape::Tuple(items) => format!("readonly [{}]", all(items, ", ")),
        Shape::Map(value) => format!("{{ readonly [name: string]: {} }}", of(value)),
        Shape::Union(parts) => {
            let part = |part: &Shape| match part {
                Shape::List(_) | Shape::Tuple(_) => format!("({})", of(part)),
                part => of(part),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" | ")
        }
        Shape::Named(name) => name.clone(),
    }
}

/// Returns the name of a field in an object. A plain `__proto__` would set the prototype.
fn key(name: &str) -> String {
    match name {
        "__proto__" => format!("[{}]", quoted(name)),
        name if is_identifier(name) => name.to_owned(),
        name => quoted(name),
    }
}

/// Returns a number. An integer that JavaScript would round is written in another form.
fn number(number: &Number) -> String {
    let is_big = number.as_i128().is_some_and(|integer| integer.unsigned_abs() >= 1 << 53);
    if is_big { format!("{number}n") } else { number.to_string() }
}

fn comment(text: &str, indentation: &str) -> String {
    let text = in_comment(text.trim());
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    match lines.as_slice() {
        [one] => format!("{indentation}/** {one} */\n"),
        lines => {
            let lines = lines_with(&format!("{indentation} * "), &lines.join("\n"));
            format!("{indentation}/**\n{lines}{indentation} */\n")
        }
    }
}

/// Returns a text that cannot end the comment.
fn in_comment(text: &str) -> String {
    text.replace("*/", "* /")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn types_are_named_as_typescript_names_them() {
        let big = Shape::Integer { is_big: true };
        assert_eq!(of(&Shape::List(Box::new(big))), "readonly (number | bigint)[]");
        let union = Shape::Union(vec![Shape::List(Box::new(Shape::Text)), Shape::Null]);
        assert_eq!(of(&union), "(readonly string[]) | null");
        assert_eq!(of(&Shape::Literals(vec![json!("a"), json!(2), Value::Null])), "\"a\" | 2 | null");
    }

    #[test]
    fn literals_mean_in_javascript_what_they_mean_in_json() {
        let schema =
            json!({ "maximum": u64::MAX, "minimum": -1, "properties": { "__proto__": true, "a-b": false } });
        let text = LITERALS.on_one_line(&schema);
        assert_eq!(
            text,
            r#"{ maximum: 18446744073709551615n, minimum: -1, properties: { ["__proto__"]: true, "a-b": false } }"#
        );
        assert_eq!(comment("ends */ here\nnot", ""), "/**\n * ends * / here\n * not\n */\n");
    }
}
