#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use drumline::{Context, Job, Router};
use serde_json::{Value, json};

use super::Language;
use super::names::Names;
use super::shape::Shapes;
use super::tables::constants;
use crate::Contract;

/// A job whose schema refers to a definition that does not exist.
#[derive(serde::Deserialize)]
struct Dangling {}

impl Job for Dangling {
    const TYPE: &'static str = "n";

    fn schema(_: u32) -> Option<Value> {
        Some(json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/A" } } }))
    }
}

const LANGUAGES: [Language; 2] = [Language::Python, Language::TypeScript];

fn contract(types: &Value) -> Contract {
    serde_json::from_value(json!({ "drumline": "contract/1", "types": types })).unwrap()
}

fn one(schema: &Value) -> Contract {
    contract(&json!([{ "type": "a.b", "version": 1, "versions": [{ "version": 1, "schema": schema }] }]))
}

fn text(language: Language, contract: &Contract) -> String {
    language.client(contract, "drumline schema client x").unwrap().text
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in\n{}", text.split("tables: begin").next().unwrap());
}

#[test]
fn a_type_has_a_class_or_an_interface_for_each_version() {
    let schema = |field: &str| json!({ "type": "object", "properties": { field: { "type": "string" } }, "required": [field] });
    let versions =
        json!([{ "version": 1, "schema": schema("old") }, { "version": 2, "schema": schema("new") }]);
    let contract = contract(&json!([{ "type": "mail.send", "version": 2, "versions": versions }]));
    let python = text(Language::Python, &contract);
    contains(&python, "class MailSendPayload(TypedDict):\n    new: str\n");
    contains(
        &python,
        "class MailSend:\n    \"\"\"A job of type `mail.send`, version 2.\"\"\"\n\n    payload: MailSendPayload\n",
    );
    contains(&python, "class MailSendV1Payload(TypedDict):\n    old: str\n");
    contains(&python, "    VERSION: ClassVar[int] = 1\n");
    contains(&python, "\nJob = Union[MailSend, MailSendV1]\n");
    contains(&python, "    (\"mail.send\", 1): {");
    let typescript = text(Language::TypeScript, &contract);
    contains(&typescript, "export interface MailSendPayload {\n  new: string;\n}\n");
    contains(&typescript, "  type: \"mail.send\";\n  version?: 2;\n  payload: MailSendPayload;\n");
    contains(&typescript, "  type: \"mail.send\";\n  version: 1;\n  payload: MailSendV1Payload;\n");
    contains(&typescript, "export type Job = MailSend | MailSendV1;\n");
    for text in [python, typescript] {
        contains(&text, "    drumline schema client x\n");
        let is_left = |part: &str| text.contains(part);
        assert!(
            !is_left("ExamplePayload") && !is_left("\nHEADER") && !is_left("* HEADER"),
            "nothing of the example is left"
        );
    }
}

#[test]
fn fields_keep_their_names() {
    let any = json!({ "type": "integer", "format": "uint8" });
    let names = ["class", "str", "a-b", "__proto__", "", "plain"];
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), any.clone())).collect();
    let contract =
        one(&json!({ "type": "object", "properties": properties, "required": ["class", "plain"] }));
    let python = text(Language::Python, &contract);
    contains(
        &python,
        "_ABPayloadRequired = TypedDict(\n    \"_ABPayloadRequired\",\n    {\n        \"class\": \"int\",\n",
    );
    contains(&python, "        \"__proto__\": \"int\",\n");
    contains(&python, "    total=False,\n");
    contains(&python, "class ABPayload(_ABPayloadRequired, _ABPayloadOptional):\n    pass\n");
    let typescript = text(Language::TypeScript, &contract);
    contains(&typescript, "  \"\"?: number | undefined;\n");
    contains(&typescript, "  \"a-b\"?: number | undefined;\n");
    contains(&typescript, "[\"__proto__\"]: { maximum: 255, minimum: 0, type: \"integer\" }");
}

#[test]
fn schemas_of_serde_have_the_types_that_they_mean() {
    let schema = json!({
        "type": "object",
        "required": ["kind", "when", "at", "tagged", "both", "tree"],
        "properties": {
            "kind": { "oneOf": [{ "const": "a", "description": "first" }, { "enum": ["b", "c"] }] },
            "when": { "anyOf": [{ "$ref": "#/$defs/Day" }, { "type": "null" }] },
            "at": { "type": "array", "prefixItems": [{ "type": "number" }, { "type": "boolean" }], "minItems": 2, "maxItems": 2 },
            "tagged": { "oneOf": [
                { "type": "object", "properties": { "type": { "const": "on" }, "n": { "type": "integer" } }, "required": ["type"] },
                { "type": "object", "properties": { "type": { "const": "off" } }, "required": ["type"] },
            ] },
            // As generated for serde(flatten).
            "both": {
                "type": "object",
                "properties": { "id": { "type": "string" } },
                "required": ["id"],
                "oneOf": [{ "type": "object", "properties": { "up": { "type": "string" } }, "required": ["up"] }],
            },
            "map": { "type": "object", "additionalProperties": { "type": ["string", "null"] } },
            "tree": { "$ref": "#/$defs/Tree" },
        },
        "$defs": {
            "Day": { "type": "object", "properties": { "day": { "type": "string", "format": "date" } }, "required": ["day"] },
            "Tree": { "type": "array", "items": { "$ref": "#/$defs/Tree" } },
        },
    });
    let python = text(Language::Python, &one(&schema));
    for line in [
        "    kind: Literal[\"a\", \"b\", \"c\"]\n",
        "    when: Optional[ABDay]\n",
        "    at: Tuple[float, bool]\n",
        "    tagged: Union[ABTaggedOn, ABTaggedOff]\n",
        "    map: Dict[str, Optional[str]]\n",
        "ABTree = List[\"ABTree\"]\n",
        "class ABBothUp(TypedDict):\n    id: str\n    up: str\n",
    ] {
        contains(&python, line);
    }
    let typescript = text(Language::TypeScript, &one(&schema));
    for line in [
        "  kind: \"a\" | \"b\" | \"c\";\n",
        "  when: ABDay | null;\n",
        "  at: readonly [number, boolean];\n",
        "  n?: number | bigint | undefined;\n",
        "  map?: { readonly [name: string]: string | null } | undefined;\n",
        "export type ABTree = readonly ABTree[];\n",
    ] {
        contains(&typescript, line);
    }
}

#[test]
fn no_type_takes_a_name_of_the_file_itself() {
    let of =
        |name: &str| json!({ "type": name, "version": 1, "versions": [{ "version": 1, "schema": null }] });
    let contract = contract(&json!([of("entry"), of("guards"), of("a-b"), of("a.b")]));
    for language in LANGUAGES {
        let text = text(language, &contract);
        for name in ["AB", "AB2", "Entry2", "Guards2"] {
            let is_declared = [format!("class {name}:"), format!("interface {name} {{")]
                .iter()
                .any(|line| text.contains(line));
            assert!(is_declared, "{name}");
        }
    }
}

#[test]
fn what_is_not_checked_is_said_and_what_cannot_be_is_refused() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": r"\p{L}" } }, "if": true });
    for language in LANGUAGES {
        let client = language.client(&one(&schema), "x").unwrap();
        assert_eq!(
            client.unchecked,
            ["a.b version 1: `if` at \"\"", "a.b version 1: `pattern` at \"/properties/a\""]
        );
        let error = language.client(&Contract::default(), "x").unwrap_err().to_string();
        assert!(error.contains("no job types"), "{error}");
    }
    // The error names the type as the contract does.
    let endless = one(&json!({ "anyOf": [{ "$ref": "#" }, { "type": "null" }] }));
    let dangling = Contract::of(&Router::new().handle(|_: Context, _: Dangling| async { Ok(()) }));
    for language in LANGUAGES {
        let error = |contract| language.client(contract, "x").unwrap_err().to_string();
        assert!(error(&endless).starts_with("a.b version 1: its schema \"#\" refers to itself"));
        assert!(error(&dangling).starts_with("n version 1: its schema refers to \"#/$defs/A\""));
    }
    // A program's own schemas were not parsed as part of a document.
    let outside =
        json!({ "type": "object", "properties": { "a": { "$ref": "https://example.com/a.json" } } });
    let error =
        Shapes::of_payload(&outside, "Mail", &mut Names::new(BTreeSet::new())).unwrap_err().to_string();
    assert!(error.contains("https://example.com/a.json") && error.contains("$defs"), "{error}");
}

#[test]
fn the_examples_in_the_templates_have_all_constants() {
    for constant in constants("x") {
        assert!(include_str!("python.py").contains(&format!("\n_{} = ", constant.name)), "{}", constant.name);
        let in_typescript = [format!("\nconst {} = ", constant.name), format!("\nconst {}: ", constant.name)];
        assert!(
            in_typescript.iter().any(|line| include_str!("typescript.ts").contains(line)),
            "{}",
            constant.name
        );
    }
}
