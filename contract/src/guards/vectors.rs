//! The test vectors that clients in all languages share: `vectors.json`.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use serde_json::Value;

use super::{Guards, SchemaGuard};

/// Tokens are written with escapes (`ghp\u005f…`), so that secret scanners do not report the generated ones.
const VECTORS: &str = include_str!("../../vectors.json");

#[derive(Deserialize)]
struct Vectors {
    guards: Vec<GuardVector>,
    schemas: Vec<SchemaVector>,
}

#[derive(Deserialize)]
struct GuardVector {
    name: String,
    #[serde(rename = "type")]
    job_type: String,
    #[serde(default)]
    allow: Vec<String>,
    payload: Value,
    findings: Vec<At>,
}

#[derive(Deserialize)]
struct SchemaVector {
    name: String,
    schema: Value,
    payload: Value,
    error: Option<At>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    pointer: String,
    kind: String,
}

#[test]
fn guards_find_what_the_vectors_say() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.guards.len() > 30 && vectors.schemas.len() > 5);
    for GuardVector { name, job_type, allow, payload, mut findings } in vectors.guards {
        let allow = allow.iter().map(|text| text.parse().unwrap());
        let guards = allow.fold(Guards::default(), Guards::allow);
        let found = guards.inspect(&job_type, &payload).into_iter();
        let mut found: Vec<_> =
            found.map(|of| At { pointer: of.pointer, kind: of.kind.name().to_owned() }).collect();
        findings.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, findings, "{name}");
    }
}

#[test]
fn schemas_refuse_what_the_vectors_say() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    for SchemaVector { name, schema, payload, error } in vectors.schemas {
        let problems =
            SchemaGuard::new(&schema).unwrap().check(&payload).err().unwrap_or_default().into_iter();
        let found: Vec<_> = problems.map(|of| At { pointer: of.pointer, kind: of.keyword }).collect();
        assert_eq!(found, error.into_iter().collect::<Vec<_>>(), "{name}");
    }
}
