//! `drumline schema` and `schema check`, as users and CI run them.

use std::path::PathBuf;

use drumline_contract::Contract;
use drumline_tests::{Finished, Launch};
use serde_json::{Value, json};

/// The exit statuses of bad usage and of a reader that has left.
const USAGE: i32 = 64;
const READER_LEFT: i32 = 141;

async fn printed(args: &[&str]) -> Vec<u8> {
    let finished = Launch::new(args).finish().await;
    assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
    finished.stdout.join("\n").into_bytes()
}

async fn contract() -> Contract {
    Contract::parse(&printed(&["schema"]).await).unwrap()
}

/// Returns the contract of a type with one version, whose payload is an object of texts.
fn document(version: u32, required: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> =
        required.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let versions = json!([{ "version": version, "schema": schema }]);
    json!({ "drumline": "contract/1", "types": [{ "type": "mail", "version": version, "versions": versions }] })
}

/// A folder with documents.
struct Documents(tempfile::TempDir);

impl Documents {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn check(&self, old: &Value, new: &Value, more: &[&str]) -> Finished {
        let (old, new) = (self.write("old.json", &old.to_string()), self.write("new.json", &new.to_string()));
        let args = [&["schema", "check", old.to_str().unwrap(), new.to_str().unwrap()], more].concat();
        Launch::new(&args).finish().await
    }
}

#[tokio::test]
async fn the_contract_has_each_type_with_all_versions_schemas() {
    let contract = contract().await;
    let types: Vec<_> = contract.types().iter().map(|of| (&*of.name, of.versions.len())).collect();
    let expected = [
        ("billing.charge", 1),
        ("email.send", 1),
        ("image.process", 2),
        ("lead.crm", 1),
        ("lead.enrich", 1),
        ("lead.notify", 1),
        ("lead.received", 1),
        ("report.generate", 2),
        ("sample.flaky", 1),
        ("sample.slow", 1),
        ("webhook.deliver", 1),
    ];
    assert_eq!(types, expected);
    assert!(contract.types().iter().flat_map(|of| &of.versions).all(|version| version.schema.is_some()));
    assert_eq!(printed(&["schema"]).await, printed(&["schema"]).await, "it is the same each time");
    let one = Contract::parse(&printed(&["schema", "--type", "email.send"]).await).unwrap();
    assert_eq!(one, contract.only("email.send").unwrap());

    let folder = Documents::new();
    let path = folder.0.path().join("contract.json");
    assert_eq!(printed(&["schema", "--output", path.to_str().unwrap()]).await, b"");
    assert_eq!(Contract::parse(&std::fs::read(path).unwrap()).unwrap(), contract);
}

#[tokio::test]
async fn without_handlers_there_is_no_contract() {
    let refused = Launch::new(&["schema"]).without("DRUMLINE_SAMPLE_JOBS").finish().await;
    assert_eq!(refused.status, Some(USAGE), "{refused:?}");
    assert!(refused.errors().contains("there are no handlers to describe"), "{}", refused.errors());
    let refused = Launch::new(&["schema", "--type", "email.sent"]).finish().await;
    assert_eq!(refused.status, Some(USAGE), "{refused:?}");
    assert!(
        refused.errors().contains("\"email.sent\"") && refused.errors().contains("email.send,"),
        "{refused:?}"
    );
    let left = Launch::new(&["schema"]).without_reader().finish().await;
    assert_eq!((left.status, &*left.errors()), (Some(READER_LEFT), ""));
    let missing = Launch::new(&["schema", "--output", "/missing/contract.json"]).finish().await;
    assert_eq!(missing.status, Some(1), "{missing:?}");
}

#[tokio::test]
async fn asyncapi_has_the_queues_of_the_settings() {
    const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo";
    let printed = printed(&["schema", "--format", "asyncapi", "--queue-url", QUEUE]).await;
    let document: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!((&document["asyncapi"], &document["info"]["title"]), (&json!("3.0.0"), &json!("drumline")));
    let channel = &document["channels"]["jobs.fifo"];
    assert_eq!(channel["bindings"]["sqs"]["queue"]["fifoQueue"], true);
    assert_eq!(channel["messages"].as_object().unwrap().len(), 13);
    assert_eq!(document["servers"]["sqs"]["host"], "sqs.eu-west-1.amazonaws.com");
    let refused =
        Launch::new(&["schema", "--format", "asyncapi", "--queue-url", "ftp://jobs"]).finish().await;
    assert_eq!(refused.status, Some(USAGE), "{refused:?}");
}

#[tokio::test]
async fn what_has_not_changed_is_compatible() {
    let folder = Documents::new();
    let contract = printed(&["schema"]).await;
    let committed = folder.write("contract.json", std::str::from_utf8(&contract).unwrap());
    let committed = committed.to_str().unwrap();
    for args in [["schema", "check", committed, "-"], ["schema", "check", "-", committed]] {
        let finished = Launch::new(&args).input(contract.clone()).finish().await;
        assert_eq!((finished.status, finished.stdout.len()), (Some(0), 0), "{finished:?}");
        assert!(finished.errors().contains("compatible (11 job types)"), "{}", finished.errors());
    }
}

#[tokio::test]
async fn what_breaks_is_told_with_its_place_and_the_way_around_it() {
    let folder = Documents::new();
    let (old, new) = (document(1, &["to"]), document(1, &["to", "subject"]));
    let finished = folder.check(&old, &new, &[]).await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert_eq!(
        finished.stdout,
        [
            "breaks waiting messages: mail version 1 at /subject: new workers require the field, and old producers may leave it out",
            "  fix: make the field optional: an Option, or #[serde(default)]; or raise VERSION to 2 and add an Upcaster from 1",
        ]
    );
    let finished = folder.check(&old, &new, &["--output", "json"]).await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(1), 1), "{finished:?}");
    let finding: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    let fields = ["severity", "affects", "type", "version", "pointer"].map(|field| finding[field].clone());
    assert_eq!(json!(fields), json!(["breaking", "waiting-messages", "mail", 1, "/subject"]));
    assert!(finding["fix"].is_string() && finding["problem"].is_string(), "{finding}");

    // The alternative: a new version that still reads the old one. It only causes a note.
    let mut raised = document(2, &["to", "subject"]);
    raised["types"][0]["versions"].as_array_mut().unwrap().push(old["types"][0]["versions"][0].clone());
    let finished = folder.check(&old, &raised, &[]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.stdout[0].starts_with("note for running workers: mail version 2: "), "{finished:?}");
}

#[tokio::test]
async fn incomparable_changes_are_incompatible_unless_allowed() {
    let folder = Documents::new();
    let mut old = document(1, &["to"]);
    old["types"][0]["versions"][0]["schema"] = Value::Null;
    let strict = folder.check(&old, &old, &[]).await;
    assert_eq!(strict.status, Some(1), "{strict:?}");
    assert!(strict.stdout[0].contains("neither contract has a schema"), "{strict:?}");
    let allowed = folder.check(&old, &old, &["--allow-unknown"]).await;
    assert_eq!((allowed.status, &allowed.stdout), (Some(0), &strict.stdout));
    // A breaking change is not unknown.
    let breaks = folder.check(&document(1, &["to"]), &document(1, &["a"]), &["--allow-unknown"]).await;
    assert_eq!(breaks.status, Some(1), "{breaks:?}");
}

#[tokio::test]
async fn bad_documents_are_refused_with_their_names() {
    let folder = Documents::new();
    let good = folder.write("good.json", &document(1, &[]).to_string());
    let good = good.to_str().unwrap();
    let write = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let mut bad_schema = document(1, &[]);
    bad_schema["types"][0]["versions"][0]["schema"] = json!({ "type": "elephant" });
    let table = [
        (write("empty.json", ""), "empty.json: it is no contract"),
        (write("half.json", "{\"drumline\":\"contr"), "half.json: it is no contract"),
        (write("other.json", "{\"openapi\":\"3.1.0\"}"), "does not begin with \"drumline\":\"contract/1\""),
        (
            write("newer.json", "{\"drumline\":\"contract/2\",\"types\":{}}"),
            "this program reads \"contract/1\"",
        ),
        (write("schema.json", &bad_schema.to_string()), "version 1 is not valid"),
        (folder.0.path().join("missing.json").display().to_string(), "missing.json: No such file"),
        (folder.0.path().display().to_string(), "Is a directory"),
        ("-".to_owned(), "standard input: it is no contract"),
    ];
    for (bad, reason) in &table {
        for args in [["schema", "check", good, bad], ["schema", "check", bad, good]] {
            let refused = Launch::new(&args).finish().await;
            assert_eq!((refused.status, refused.stdout.len()), (Some(USAGE), 0), "{args:?}: {refused:?}");
            assert!(refused.errors().contains(reason), "{reason}: {}", refused.errors());
        }
    }
    for args in [&["schema", "check", "-", "-"][..], &["schema", "check", good], &["schema", "compare"]] {
        let refused = Launch::new(args).finish().await;
        assert_eq!(refused.status, Some(USAGE), "{args:?}: {refused:?}");
    }
}
