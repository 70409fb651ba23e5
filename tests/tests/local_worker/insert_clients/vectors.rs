//! The vectors that all languages share, and random payloads: every client reports the same findings as the producer in Rust,
//! in the same words.

use std::collections::BTreeSet;

use drumline_contract::Contract;
use drumline_contract::clients::with_integer_bounds;
use drumline_contract::guards::{Allowance, Guards, SchemaGuard, Severity};
use fastrand::Rng;
use serde_json::{Value, json};

use super::language::{Language, Programs};

const VECTORS: &str = include_str!("../../../../contract/vectors.json");
const ORDERS: &str = include_str!("../../../clients/contract.json");
/// The producer's text about allowing a field.
const SETTING: &str = "set guard_allow (--allow) to ";
/// The number of random payloads.
const RANDOM: usize = 1500;

fn vectors(kind: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    vectors[kind].as_array().unwrap().clone()
}

/// A type for each schema of the vectors.
pub(super) fn vectors_contract() -> Contract {
    let of = |(index, vector): (usize, &Value)| {
        let versions = json!([{ "version": 1, "schema": vector["schema"] }]);
        json!({ "type": format!("vector.{index}"), "version": 1, "versions": versions })
    };
    let types: Vec<Value> = vectors("schemas").iter().enumerate().map(of).collect();
    serde_json::from_value(json!({ "drumline": "contract/1", "types": types })).unwrap()
}

/// Returns the findings of the producer in Rust: places and texts, in the form of the language's client.
fn expected_findings(case: &Value, language: Language) -> Value {
    let job_type = case["type"].as_str().unwrap();
    let allowed = case["allow"].as_array().into_iter().flatten().map(|text| text.as_str().unwrap());
    let allowed = allowed.map(|text| text.parse::<Allowance>().unwrap());
    let findings = allowed.fold(Guards::default(), Guards::allow).inspect(job_type, &case["payload"]);
    let mut warned = BTreeSet::new();
    let texts: BTreeSet<String> = findings
        .iter()
        .filter(|one| one.severity == Severity::Error || warned.insert((one.kind, one.pattern())))
        .map(|one| {
            let text = format!("{job_type}: {one}");
            let (before, allow) = text.split_once(SETTING).unwrap();
            let end = if language == Language::Python { "])" } else { "] })" };
            format!("{before}{}{allow}{end}", language.allowing())
        })
        .collect();
    let places: BTreeSet<_> = findings.iter().map(|one| (one.pointer.clone(), one.kind.name())).collect();
    json!({ "places": places, "texts": texts })
}

fn sorted(mut found: Value) -> Value {
    for name in ["places", "texts"] {
        let list = found[name].as_array_mut().unwrap();
        list.sort_by_key(Value::to_string);
        // Several hidden names have one pointer.
        list.dedup();
    }
    found
}

async fn compare_findings(programs: &Programs, cases: &[Value]) {
    let found = programs.drive(&json!({ "client": "vectors", "does": "findings", "cases": cases })).await;
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), cases.len());
    for (case, found) in cases.iter().zip(found) {
        let expected = expected_findings(case, programs.language);
        assert_eq!(sorted(found.clone()), sorted(expected), "{case}");
    }
}

/// Returns the problems that a client should find in the payload of a schema: pointer, keyword and reason.
fn expected_problems(schema: &Value, payload: &Value) -> BTreeSet<Vec<String>> {
    let problems = SchemaGuard::new(&with_integer_bounds(schema)).unwrap().check(payload);
    let problems = problems.err().unwrap_or_default().into_iter();
    problems.map(|one| vec![one.pointer, one.keyword, one.reason]).collect()
}

async fn compare_problems(
    programs: &Programs,
    client: &str,
    cases: &[Value],
    schema: impl Fn(usize) -> Value,
) {
    let found = programs.drive(&json!({ "client": client, "does": "schemas", "cases": cases })).await;
    for (index, (case, found)) in cases.iter().zip(found.as_array().unwrap()).enumerate() {
        let found: BTreeSet<Vec<String>> = serde_json::from_value(found.clone()).unwrap();
        assert_eq!(found, expected_problems(&schema(index), &case["payload"]), "{case}");
    }
}

pub(super) async fn agree(programs: &Programs) {
    let guards = vectors("guards");
    assert!(guards.len() > 30, "{}", guards.len());
    compare_findings(programs, &guards).await;
    let schemas = vectors("schemas");
    let payload = |(index, vector): (usize, &Value)| json!({ "type": format!("vector.{index}"), "payload": vector["payload"] });
    let cases: Vec<Value> = schemas.iter().enumerate().map(payload).collect();
    compare_problems(programs, "vectors", &cases, |index| schemas[index]["schema"].clone()).await;
}

/// Parts of texts near the limits of the guards.
const PARTS: &[&str] = &[
    "AKIAIOSFODNN7EXAMPLE",
    "ASIA",
    "ghp_",
    "a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
    "sk-",
    "npm_",
    "xoxb-1234567890-abcdef",
    "-----BEGIN ",
    "RSA PRIVATE KEY",
    "PRIVATE KEY BLOCK",
    "-----",
    "://",
    "user:",
    "hunter2",
    "@",
    "@",
    "host/",
    "$",
    "***",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJ0eXAiOiJKV1QifQ",
    ".",
    ".",
    "a",
    "4111111111111111",
    "4111",
    "1111",
    "378282246310005",
    "3782",
    "822463",
    "10005",
    " ",
    "-",
    ",",
    "7",
    "ada",
    "example",
    "com",
    "git",
    "\n",
    "ü",
    "\u{1f941}",
    "_",
    "arn:",
    "{{",
    "x",
    "/",
    "~",
];
const NAMES: &[&str] = &[
    "password",
    "apiKey",
    "API-KEY",
    "secretAccessKey",
    "id",
    "orderId",
    "ids",
    "to",
    "note",
    "a/b",
    "~",
    "",
    "ü",
    "a b",
    "*",
    "0",
    "ada@example.com",
    "4111111111111111",
    "token",
    "cookie",
];

fn random_text(rng: &mut Rng) -> String {
    (0..rng.usize(0..7)).map(|_| PARTS[rng.usize(..PARTS.len())]).collect()
}

fn random_value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..10) {
        0 if depth > 0 => (0..rng.usize(..4)).map(|_| random_value(rng, depth - 1)).collect(),
        1 | 2 if depth > 0 => {
            let field =
                |rng: &mut Rng| (NAMES[rng.usize(..NAMES.len())].to_owned(), random_value(rng, depth - 1));
            Value::Object((0..rng.usize(..4)).map(|_| field(rng)).collect())
        }
        3 => json!([null, true, -5, 0.5, 4_111_111_111_111_111_u64, u64::MAX])[rng.usize(..6)].clone(),
        4 => json!("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        5 => json!("ü".repeat(rng.usize(9_990..10_010))),
        _ => json!(random_text(rng)),
    }
}

/// A value of a kind that fits somewhere, or nowhere.
fn random_replacement(rng: &mut Rng) -> Value {
    let values = json!([
        null, true, 0, -1, 7, 300, 5_000_000_000_u64, u64::MAX, 1.5, -0.5, "", "c-1", "c-x", "today", "later", "never", "x".repeat(21), "ü",
        [], ["a", "a"], [1, 2], [1, 2, 3], [1, "b"], {}, { "kind": "invoice" }, { "kind": "invoice", "days": 30 },
        { "kind": "prepaid", "reference": "r" }, { "sku": "a", "count": 1 }, { "sku": "a" }, [{ "sku": "a", "count": 0 }],
        { "children": [{ "children": [{}, 5] }] }, { "a": "b" }, { "a": 1 },
    ]);
    values[rng.usize(..values.as_array().unwrap().len())].clone()
}

fn random_order(rng: &mut Rng) -> Value {
    let mut order = json!({ "orderId": 7, "customer": "c-7", "lines": [{ "sku": "drum", "count": 2 }] });
    let names = [
        "orderId",
        "customer",
        "lines",
        "note",
        "priority",
        "payment",
        "labels",
        "window",
        "tree",
        "class",
        "gift wrap/~",
        "__proto__",
        "",
        "unknown",
        "constructor",
    ];
    for _ in 0..rng.usize(1..4) {
        let name = names[rng.usize(..names.len())];
        if rng.u8(..8) == 0 {
            order.as_object_mut().unwrap().remove(name);
        } else {
            order[name] = random_replacement(rng);
        }
    }
    order
}

pub(super) async fn agree_by_chance(programs: &Programs) {
    let mut rng = Rng::with_seed(26);
    let cases: Vec<Value> =
        (0..RANDOM).map(|_| json!({ "type": "a.b", "payload": random_value(&mut rng, 3) })).collect();
    let found =
        cases.iter().filter(|case| expected_findings(case, Language::Python)["places"] != json!([])).count();
    assert!(found > RANDOM / 8 && found < RANDOM, "{found} payloads have something");
    compare_findings(programs, &cases).await;

    let orders: Value = serde_json::from_str(ORDERS).unwrap();
    let schema = orders["types"][1]["versions"][1]["schema"].clone();
    let cases: Vec<Value> = (0..RANDOM)
        .map(|_| json!({ "type": "order.place", "version": 2, "payload": random_order(&mut rng) }))
        .collect();
    compare_problems(programs, "orders", &cases, |_| schema.clone()).await;
}
