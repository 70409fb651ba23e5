//! Texts that processes share.

use std::sync::Arc;
use std::time::Duration;

use crate::conformance::World;
use crate::conformance::steps::{SHORT, eventually};
use crate::{Document, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_NAME_BYTES, MAX_DOCUMENTS, Store, StoreError};

const KEEP: Duration = Duration::from_secs(3600);

/// Returns a kind of documents that no other case uses.
pub fn kind(world: &World) -> String {
    let letter = |digit: char| char::from(b'a' + u8::try_from(digit.to_digit(16).unwrap()).unwrap());
    format!("test-{}", world.mark().chars().map(letter).collect::<String>())
}

/// Opens a process's store. Returns `None` if it keeps no documents.
async fn store(world: &World, owner: &str) -> Option<Arc<dyn Store>> {
    let store = world.worker(owner).await;
    match store.documents(&kind(world)).await {
        Err(StoreError::Refused(_)) => None,
        documents => documents.map(|documents| assert_eq!(documents, [])).map(|()| store).ok(),
    }
}

fn document(name: &str, text: &str) -> Document {
    Document { name: name.to_owned(), text: text.to_owned() }
}

pub async fn a_document_changes_only_for_those_who_have_read_it(world: World) {
    let kind = &kind(&world);
    let Some(one) = store(&world, "one").await else { return };
    let other = store(&world, "other").await.unwrap();
    assert_eq!(one.document(kind, "name").await, Ok(None));
    assert_eq!(one.put_document(kind, "name", Some("0"), "1", KEEP).await, Ok(false));
    assert_eq!(one.put_document(kind, "name", None, "1", KEEP).await, Ok(true));
    assert_eq!(other.document(kind, "name").await, Ok(Some("1".to_owned())));
    assert_eq!(other.put_document(kind, "name", None, "2", KEEP).await, Ok(false));
    assert_eq!(other.put_document(kind, "name", Some("1"), "2", KEEP).await, Ok(true));
    assert_eq!(one.put_document(kind, "name", Some("1"), "3", KEEP).await, Ok(false));
    // The answer was lost, and the call is repeated.
    assert_eq!(other.put_document(kind, "name", Some("1"), "2", KEEP).await, Ok(true));
    assert_eq!(one.documents(kind).await, Ok(vec![document("name", "2")]));
    // Other kinds and other names are not affected.
    assert_eq!(one.documents(&format!("{kind}-other")).await, Ok(vec![]));
    assert_eq!(one.document(kind, "Name").await, Ok(None));
}

pub async fn documents_are_listed_newest_first(world: World) {
    let kind = &kind(&world);
    let Some(store) = store(&world, "one").await else { return };
    let names = ["arn:aws:sqs:eu-west-1:123456789012:jobs", "ö 'odd' \"name\" %_#", "c"];
    for name in names {
        assert_eq!(store.put_document(kind, name, None, r#"{"ä":"\u0000'"}"#, KEEP).await, Ok(true));
    }
    assert_eq!(store.put_document(kind, names[0], Some(r#"{"ä":"\u0000'"}"#), "", KEEP).await, Ok(true));
    let listed = store.documents(kind).await.unwrap();
    let texts: Vec<_> = listed.iter().map(|document| (&*document.name, &*document.text)).collect();
    assert_eq!(texts, [(names[0], ""), (names[2], r#"{"ä":"\u0000'"}"#), (names[1], r#"{"ä":"\u0000'"}"#)]);
}

pub async fn a_document_is_forgotten_in_time(world: World) {
    let kind = &kind(&world);
    let Some(store) = store(&world, "one").await else { return };
    assert_eq!(store.put_document(kind, "kept", None, "1", KEEP).await, Ok(true));
    assert_eq!(store.put_document(kind, "brief", None, "1", SHORT).await, Ok(true));
    eventually("a document is forgotten", async || store.document(kind, "brief").await == Ok(None)).await;
    assert_eq!(store.documents(kind).await, Ok(vec![document("kept", "1")]));
    assert_eq!(store.put_document(kind, "brief", Some("1"), "2", KEEP).await, Ok(false));
    assert_eq!(store.put_document(kind, "brief", None, "2", KEEP).await, Ok(true));
    assert_eq!(store.documents(kind).await, Ok(vec![document("brief", "2"), document("kept", "1")]));
}

pub async fn documents_are_bounded(world: World) {
    let kind = &kind(&world);
    let Some(store) = store(&world, "one").await else { return };
    let whole = "x".repeat(MAX_DOCUMENT_BYTES);
    let long = "n".repeat(MAX_DOCUMENT_NAME_BYTES);
    assert_eq!(store.put_document(kind, &long, None, &whole, KEEP).await, Ok(true));
    assert_eq!(store.document(kind, &long).await, Ok(Some(whole.clone())));
    for (kind, name, text) in [
        (&**kind, "name", &*format!("{whole}x")),
        (kind, &format!("{long}n"), "1"),
        (kind, "", "1"),
        (kind, "a\nb", "1"),
        (kind, "name", "\0"),
        ("A kind", "name", "1"),
    ] {
        let refused = store.put_document(kind, name, None, text, KEEP).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{kind} {name}: {refused:?}");
    }
    for index in 0..MAX_DOCUMENTS {
        assert_eq!(store.put_document(kind, &format!("{index}"), None, "1", KEEP).await, Ok(true));
    }
    let listed = store.documents(kind).await.unwrap();
    assert_eq!(listed.len(), MAX_DOCUMENTS);
    assert!(listed.iter().all(|document| document.name != long), "the one written longest ago is gone");
    assert_eq!(store.document(kind, &long).await, Ok(None));
    assert_eq!(store.put_document(kind, &long, None, "1", KEEP).await, Ok(true));
}
