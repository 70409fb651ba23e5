#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

/// A type as `(version, [(version, schema)])`; the schema is an object with these required fields, or none.
type Type<'a> = (u32, &'a [(u32, Option<&'a [&'a str]>)]);

fn contract(types: &[(&str, Type<'_>)]) -> Contract {
    let schema = |fields: Option<&[&str]>| {
        fields.map(|fields| {
            let properties: serde_json::Map<String, Value> =
                fields.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
            json!({ "type": "object", "properties": properties, "required": fields })
        })
    };
    let types = types.iter().map(|(name, (version, versions))| {
        let versions =
            versions.iter().map(|(version, fields)| json!({ "version": version, "schema": schema(*fields) }));
        json!({ "type": name, "version": version, "versions": versions.collect::<Vec<_>>() })
    });
    let document = json!({ "drumline": "contract/1", "types": types.collect::<Vec<_>>() });
    serde_json::from_value(document).unwrap()
}

/// Returns each finding as `severity affected type version pointer`.
fn found(old: &[(&str, Type<'_>)], new: &[(&str, Type<'_>)]) -> Vec<String> {
    let text = |of: &Finding| {
        let json = serde_json::to_value(of).unwrap();
        let affected = json["affects"].as_str().unwrap_or("-");
        format!(
            "{} {affected} {} {} {}",
            json["severity"].as_str().unwrap(),
            of.job_type,
            of.version,
            of.pointer
        )
    };
    compare(&contract(old), &contract(new)).iter().map(text).map(|text| text.trim_end().to_owned()).collect()
}

const A: Option<&[&str]> = Some(&["a"]);
const AB: Option<&[&str]> = Some(&["a", "b"]);
const NONE: Option<&[&str]> = None;

#[test]
fn a_changed_version_breaks_what_meets_it() {
    type Row<'a> = (&'a str, Type<'a>, Type<'a>, &'a [&'a str]);
    let table: [Row<'_>; 14] = [
        ("nothing", (1, &[(1, A)]), (1, &[(1, A)]), &[]),
        ("a field is added", (1, &[(1, A)]), (1, &[(1, AB)]), &["breaking waiting-messages t 1 /b"]),
        ("a field is removed", (1, &[(1, AB)]), (1, &[(1, A)]), &["breaking running-workers t 1 /b"]),
        ("raised with its upcaster", (1, &[(1, A)]), (2, &[(1, A), (2, AB)]), &["note running-workers t 2"]),
        (
            "raised without its upcaster",
            (1, &[(1, A)]),
            (2, &[(2, AB)]),
            &["breaking waiting-messages t 1", "note running-workers t 2"],
        ),
        (
            "raised, and the old version is rewritten",
            (1, &[(1, A)]),
            (2, &[(1, AB), (2, AB)]),
            &["breaking waiting-messages t 1 /b", "note running-workers t 2"],
        ),
        (
            "an old version is dropped",
            (2, &[(1, A), (2, AB)]),
            (2, &[(2, AB)]),
            &["breaking waiting-messages t 1"],
        ),
        ("an older version is read again", (2, &[(2, AB)]), (2, &[(1, A), (2, AB)]), &[]),
        ("an older version is read more freely", (2, &[(1, AB), (2, AB)]), (2, &[(1, A), (2, AB)]), &[]),
        ("raised twice", (1, &[(1, A)]), (3, &[(1, A), (2, A), (3, AB)]), &["note running-workers t 3"]),
        (
            "lowered to what is read",
            (2, &[(1, A), (2, AB)]),
            (1, &[(1, A)]),
            &["breaking waiting-messages t 2"],
        ),
        (
            "lowered to what is not read",
            (2, &[(2, AB)]),
            (1, &[(1, A)]),
            &["breaking running-workers t 1", "breaking waiting-messages t 2"],
        ),
        ("without schemas", (1, &[(1, NONE)]), (1, &[(1, NONE)]), &["unknown - t 1"]),
        ("with the first schema", (1, &[(1, NONE)]), (1, &[(1, A)]), &["unknown - t 1"]),
    ];
    for (change, old, new, expected) in table {
        let mut found = found(&[("t", old)], &[("t", new)]);
        found.sort();
        assert_eq!(found, expected, "{change}");
    }
}

#[test]
fn types_come_and_go() {
    let one: Type<'_> = (1, &[(1, A)]);
    assert_eq!(found(&[("a", one)], &[("a", one), ("b", one)]), ["note running-workers b 1"]);
    assert_eq!(found(&[("a", one), ("b", one)], &[("b", one)]), ["breaking waiting-messages a 1"]);
    // A renamed type results in both findings, the breaking one first.
    assert_eq!(
        found(&[("b", one)], &[("a", one)]),
        ["breaking waiting-messages b 1", "note running-workers a 1"]
    );
}

/// Every finding has a fix, which never raises a version that is not the newest.
#[test]
fn a_finding_says_what_to_do() {
    let fix = |old: Type<'_>, new: Type<'_>| {
        let findings = compare(&contract(&[("t", old)]), &contract(&[("t", new)]));
        let breaking = findings.into_iter().find(|finding| finding.severity == Severity::Breaking).unwrap();
        format!("{breaking}\n{}", breaking.fix)
    };
    let table = [
        (
            fix((1, &[(1, A)]), (1, &[(1, AB)])),
            "breaks waiting messages: t version 1 at /b: new workers require the field, and old producers may leave it out\n\
             make the field optional: an Option, or #[serde(default)]; or raise VERSION to 2 and add an Upcaster from 1",
        ),
        (
            fix((1, &[(1, AB)]), (1, &[(1, A)])),
            "breaks running workers: t version 1 at /b: running workers require the field, and new producers may leave it out\n\
             keep writing the field until all workers can do without it; or raise VERSION to 2, with an Upcaster from 1: running \
             workers then retry the new messages until they are replaced",
        ),
        (
            fix((1, &[(1, A)]), (2, &[(1, AB), (2, AB)])),
            "breaks waiting messages: t version 1 at /b: new workers require the field, and old producers may leave it out\n\
             version 1 is written already and must stay as it was: let Job::schema(1) return the old schema, and the Upcaster from 1 \
             take what it allows",
        ),
        (
            fix((1, &[(1, A)]), (2, &[(2, AB)])),
            "breaks waiting messages: t version 1: new workers cannot read version 1, which may wait in the queue, and in its DLQ for \
             up to 14 days\nkeep an Upcaster from 1; drop it once neither the queue nor its DLQ holds a message of the version",
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_doubt_is_unknown_and_says_why() {
    let of = |schema: Value| {
        let types = json!([{ "type": "t", "version": 1, "versions": [{ "version": 1, "schema": schema }] }]);
        serde_json::from_value::<Contract>(json!({ "drumline": "contract/1", "types": types })).unwrap()
    };
    let new = of(json!({ "type": "object", "if": { "required": ["a"] }, "then": { "required": ["b"] } }));
    let findings = compare(&of(json!({ "type": "object" })), &new);
    assert_eq!((findings.len(), findings[0].severity), (1, Severity::Unknown));
    let text = findings[0].to_string();
    assert!(text.starts_with("may break waiting messages: t version 1: ") && text.contains("`if`"), "{text}");
}
