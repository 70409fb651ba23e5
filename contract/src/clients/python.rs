//! Generates the Python client: `TypedDict`s for payloads, a class for each type and version, and the table of schemas.

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

const TEMPLATE: &str = include_str!("python.py");

/// Names that cannot be fields in a class body: keywords, and the names of types.
const NO_FIELDS: [&str; 49] = [
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "Any",
    "Dict",
    "List",
    "Literal",
    "Optional",
    "Tuple",
    "TypedDict",
    "Union",
    "bool",
    "float",
    "int",
    "str",
    "print",
    "__debug__",
];

const LITERALS: Dialect = Dialect {
    null: "None",
    yes: "True",
    no: "False",
    indent: "    ",
    brackets: ("[", "]"),
    braces: ("{", "}"),
    key: quoted,
    number: Number::to_string,
};

/// The tables are tuples, because they do not change.
const TUPLES: Dialect = Dialect { brackets: ("(", ")"), ..LITERALS };

const ALLOWING: &str = "pass Guards(allow=[\"{allow}\"])";

pub(super) fn client(contract: &Contract, command: &str) -> Result<Client, NoClient> {
    let mut template = Template::new(TEMPLATE);
    let mut unchecked = Vec::new();
    let payloads = payloads(contract, template.words_without("contract"), &mut unchecked)?;
    let mut text = String::from("\n");
    for payload in &payloads {
        let names: Vec<&str> = payload.definitions.iter().map(|definition| &*definition.name).collect();
        for definition in &payload.definitions {
            text += &self::definition(definition, &names);
        }
        text += &job(payload);
    }
    let jobs: Vec<&str> = payloads.iter().map(|payload| &*payload.job).collect();
    write!(text, "\nJob = Union[{}]\n\n", jobs.join(", ")).expect("a string takes all");
    text += "_SCHEMAS: Dict[Tuple[str, int], Any] = {\n";
    for payload in &payloads {
        let key = format!("({}, {})", quoted(&payload.job_type), payload.version);
        writeln!(text, "    {key}: {},", LITERALS.write(&payload.schema, 1)).expect("a string takes all");
    }
    text += "}\n\n";
    template.section("contract", &text);
    template
        .section("tables", &tables::lines(ALLOWING, &TUPLES, |name, value| format!("_{name} = {value}\n")));
    template.line("HEADER", &header(command).replace('\\', "\\\\").replace("\"\"\"", "'''"));
    Ok(Client { text: template.finish(), unchecked })
}

fn job(payload: &Payload) -> String {
    let doc = docstring(&payload.doc(), "    ");
    format!(
        "\n@dataclass(frozen=True)\nclass {}:\n{doc}\n    payload: {}\n    TYPE: ClassVar[str] = {}\n    VERSION: ClassVar[int] = {}\n\n",
        payload.job,
        of(&payload.shape),
        quoted(&payload.job_type),
        payload.version
    )
}

fn definition(definition: &Definition, names: &[&str]) -> String {
    let Definition { name, doc, kind } = definition;
    let doc = doc.as_deref();
    match kind {
        Kind::Alias(shape) => {
            let doc = doc.map(|doc| comment(doc, "")).unwrap_or_default();
            format!("\n{doc}{name} = {}\n\n", alias(shape))
        }
        Kind::Object(fields) => object(name, doc, fields, names),
    }
}

/// Returns a class, and another one for its optional fields: Python has no `NotRequired` before 3.11.
fn object(name: &str, doc: Option<&str>, fields: &[Field], names: &[&str]) -> String {
    let (required, optional): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|field| field.is_required);
    let is_plain = |field: &&Field| {
        is_identifier(&field.name)
            && !field.name.starts_with("__")
            && !NO_FIELDS.contains(&&*field.name)
            && !names.contains(&&*field.name)
    };
    let own = |fields: &[&Field], base: &str, doc: Option<&str>| {
        let doc = doc.map(|doc| docstring(doc, "    ")).unwrap_or_default();
        let lines: String = fields.iter().map(|field| in_class(field)).collect();
        let body = if lines.is_empty() && doc.is_empty() { "    pass\n".to_owned() } else { doc + &lines };
        format!("\nclass {name}({base}):\n{body}\n")
    };
    if fields.iter().all(|field| is_plain(&field)) {
        return match (required.as_slice(), optional.as_slice()) {
            (required, []) => own(required, "TypedDict", doc),
            ([], optional) => own(optional, "TypedDict, total=False", doc),
            (required, optional) => {
                let base = format!("_{name}Required");
                let lines: String = required.iter().map(|field| in_class(field)).collect();
                format!(
                    "\nclass {base}(TypedDict):\n{lines}\n{}",
                    own(optional, &format!("{base}, total=False"), doc)
                )
            }
        };
    }
    let mut text = String::new();
    let mut bases = Vec::new();
    for (fields, part, total) in [(required, "Required", ""), (optional, "Optional", ", total=False")] {
        if fields.is_empty() {
            continue;
        }
        let base = format!("_{name}{part}");
        write!(text, "\n{base} = TypedDict(\n    \"{base}\",\n    {{\n").expect("a string takes all");
        for field in fields {
            let doc = field.doc.as_deref().map(|doc| comment(doc, "        ")).unwrap_or_default();
            writeln!(text, "{doc}        {}: {},", quoted(&field.name), quoted(&of(&field.shape)))
                .expect("a string takes all");
        }
        writeln!(
            text,
            "    }}{total},\n)\n",
            total = if total.is_empty() { "" } else { ",\n    total=False" }
        )
        .expect("a string takes all");
        bases.push(base);
    }
    text + &own(&[], &bases.join(", "), doc)
}

fn in_class(field: &Field) -> String {
    let doc = field.doc.as_deref().map(|doc| docstring(doc, "    ")).unwrap_or_default();
    format!("    {}: {}\n{doc}", field.name, of(&field.shape))
}

/// Returns a type in an annotation, which is not evaluated.
fn of(shape: &Shape) -> String {
    typed(shape, str::to_owned)
}

/// Returns a type that is evaluated: names may be defined later.
fn alias(shape: &Shape) -> String {
    match shape {
        Shape::Named(name) => format!("Union[{}]", quoted(name)),
        shape => typed(shape, quoted),
    }
}

fn typed(shape: &Shape, name: fn(&str) -> String) -> String {
    let all = |shapes: &[Shape]| shapes.iter().map(|shape| typed(shape, name)).collect::<Vec<_>>().join(", ");
    match shape {
        Shape::Any | Shape::Never => "Any".to_owned(),
        Shape::Null => "None".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Integer { .. } => "int".to_owned(),
        Shape::Number => "float".to_owned(),
        Shape::Text => "str".to_owned(),
        Shape::Literals(values) => {
            let values: Vec<String> = values.iter().map(|value| LITERALS.on_one_line(value)).collect();
            format!("Literal[{}]", values.join(", "))
        }
        Shape::List(item) => format!("List[{}]", typed(item, name)),
        Shape::Tuple(items) if items.is_empty() => "Tuple[()]".to_owned(),
        Shape::Tuple(items) => format!("Tuple[{}]", all(items)),
        Shape::Map(value) => format!("Dict[str, {}]", typed(value, name)),
        Shape::Union(parts) => match parts.as_slice() {
            [part, Shape::Null] | [Shape::Null, part] => format!("Optional[{}]", typed(part, name)),
            parts => format!("Union[{}]", all(parts)),
        },
        Shape::Named(own) => name(own),
    }
}

fn docstring(text: &str, indentation: &str) -> String {
    let text = text.trim().replace('\\', "\\\\").replace('"', "\\\"");
    match text.split_once('\n') {
        None => format!("{indentation}\"\"\"{text}\"\"\"\n"),
        Some((first, rest)) => {
            let first = first.trim_end();
            format!("{indentation}\"\"\"{first}\n{}{indentation}\"\"\"\n", lines_with(indentation, rest))
        }
    }
}

fn comment(text: &str, indentation: &str) -> String {
    lines_with(&format!("{indentation}# "), text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn types_are_named_as_python_names_them() {
        let union = Shape::Union(vec![Shape::Text, Shape::Null]);
        assert_eq!(of(&union), "Optional[str]");
        assert_eq!(
            of(&Shape::Literals(vec![json!("a\"b"), json!(true), Value::Null])),
            r#"Literal["a\"b", True, None]"#
        );
        let list = Shape::List(Box::new(Shape::Named("Part".to_owned())));
        assert_eq!((of(&list), alias(&list)), ("List[Part]".to_owned(), "List[\"Part\"]".to_owned()));
    }

    #[test]
    fn texts_cannot_end_their_docstring() {
        assert_eq!(docstring("one \"\"\" \\", "  "), "  \"\"\"one \\\"\\\"\\\" \\\\\"\"\"\n");
        assert_eq!(docstring("one\n\ntwo ", "  "), "  \"\"\"one\n\n  two\n  \"\"\"\n");
    }
}
