#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::Language;
use crate::Contract;

fn contract(types: Value) -> Contract {
    serde_json::from_value(json!({ "drumline": "contract/1", "types": types })).unwrap()
}

fn one(schema: Value) -> Contract {
    contract(json!([{ "type": "a.b", "version": 1, "versions": [{ "version": 1, "schema": schema }] }]))
}

fn text(language: Language, contract: &Contract) -> String {
    language.client(contract, "drumline schema client").unwrap().text
}

#[test]
fn print_for_a_look() {
    let text = std::fs::read_to_string(std::env::var("CONTRACT").unwrap_or_default());
    let Ok(contract) = text else { return };
    let contract = Contract::parse(contract.as_bytes()).unwrap();
    std::fs::write("/tmp/clients-t/gen.py", self::text(Language::Python, &contract)).unwrap();
    std::fs::write("/tmp/clients-t/gen.ts", self::text(Language::TypeScript, &contract)).unwrap();
    let _ = one(json!({}));
}
