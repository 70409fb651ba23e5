//! Documents in a table of texts: each document has a text, and each kind has a list, which alone determines the existing
//! documents.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use super::table::Records;
use crate::document::{Document, MAX_DOCUMENTS};
use crate::document_rules;
use crate::rules::after;
use crate::store::{StoreError, now_ms};

/// An entry in the list of a kind. The most recently changed document is at the end.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    expires: u64,
}

fn list_of(kind: &str) -> String {
    format!("documents:{kind}")
}

fn text_of(kind: &str, name: &str) -> String {
    format!("document:{kind}:{name}")
}

/// Returns the keys of a document's list and text.
pub(super) fn keys(kind: &str, name: &str) -> [String; 2] {
    [list_of(kind), text_of(kind, name)]
}

pub(super) fn check(kind: &str, name: &str, text: &str) -> Result<(), StoreError> {
    document_rules::check_name(kind, name)?;
    document_rules::check_text(text)
}

pub(super) async fn get(
    records: &impl Records,
    kind: &str,
    name: &str,
) -> Result<Option<String>, StoreError> {
    document_rules::check_name(kind, name)?;
    let keys = keys(kind, name);
    let snapshot = Snapshot::new(&keys, records.read(&keys).await?)?;
    let now = now_ms();
    text(&snapshot, &entries(&snapshot, kind, now)?, kind, name, now)
}

/// Reads the list first, and then all texts at once.
pub(super) async fn list(records: &impl Records, kind: &str) -> Result<Vec<Document>, StoreError> {
    document_rules::check_kind(kind)?;
    let keys = [list_of(kind)];
    let snapshot = Snapshot::new(&keys, records.read(&keys).await?)?;
    let entries = entries(&snapshot, kind, now_ms())?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = entries.iter().map(|entry| text_of(kind, &entry.name)).collect();
    let snapshot = Snapshot::new(&keys, records.read(&keys).await?)?;
    let now = now_ms();
    let mut documents = Vec::new();
    for Entry { name, .. } in entries.iter().rev() {
        let text = text(&snapshot, &entries, kind, name, now)?;
        documents.extend(text.map(|text| Document { name: name.clone(), text }));
    }
    Ok(documents)
}

pub(super) fn put(
    snapshot: &mut Snapshot,
    kind: &str,
    (name, after_text): (&str, &str),
    before: Option<&str>,
    keep: Duration,
    now: u64,
) -> Result<bool, StoreError> {
    let mut entries = entries(snapshot, kind, now)?;
    let current = text(snapshot, &entries, kind, name, now)?;
    if !document_rules::may_change(current.as_deref(), before, after_text) {
        return Ok(false);
    }
    let expires = after(now, document_rules::bounded(keep));
    entries.retain(|entry| entry.name != name);
    entries.push(Entry { name: name.to_owned(), expires });
    let surplus = entries.len().saturating_sub(MAX_DOCUMENTS);
    entries.drain(..surplus);
    let last = entries.iter().map(|entry| entry.expires).max().unwrap_or(expires);
    snapshot.set(&text_of(kind, name), &after_text, expires);
    snapshot.set(&list_of(kind), &entries, last);
    Ok(true)
}

fn entries(snapshot: &Snapshot, kind: &str, now: u64) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = snapshot.current(&list_of(kind), now)?.unwrap_or_default();
    entries.retain(|entry| entry.expires > now);
    Ok(entries)
}

/// Returns the text of a listed document.
fn text(
    snapshot: &Snapshot,
    entries: &[Entry],
    kind: &str,
    name: &str,
    now: u64,
) -> Result<Option<String>, StoreError> {
    if !entries.iter().any(|entry| entry.name == name) {
        return Ok(None);
    }
    snapshot.current(&text_of(kind, name), now)
}
