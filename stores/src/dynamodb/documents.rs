//! Documents: one item for each, and for each kind one item with their names.
//!
//! The document is written before its name: if a process dies in between, the document can be read by its name, and is listed
//! after its next change.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::task::JoinSet;

use super::changes::Change;
use super::items::{Id, Item, expiration, number, string};
use super::table::Table;
use crate::document::{Document, MAX_DOCUMENT_KEEP, MAX_DOCUMENTS};
use crate::document_rules;
use crate::store::{StoreError, now_ms, now_us};

/// The number of items that are read at once.
const READS: usize = 25;

pub(super) async fn get(table: &Table, kind: &str, name: &str) -> Result<Option<String>, StoreError> {
    document_rules::check_name(kind, name)?;
    Ok(table.read(Id::Document(kind, name)).await?.and_then(|item| item.data))
}

pub(super) async fn list(table: &Table, kind: &str) -> Result<Vec<Document>, StoreError> {
    document_rules::check_kind(kind)?;
    let names = table.read(Id::Documents(kind)).await?.map(|item| item.keys).unwrap_or_default();
    let found = read_all(table, kind, names).await?;
    let documents = found.into_iter().filter_map(|(name, item)| Some(Document { name, text: item.data? }));
    Ok(documents.take(MAX_DOCUMENTS).collect())
}

pub(super) async fn put(
    table: &Table,
    kind: &str,
    document: Document,
    before: Option<&str>,
    keep: Duration,
) -> Result<bool, StoreError> {
    let Document { name, text } = &document;
    document_rules::check_name(kind, name)?;
    document_rules::check_text(text)?;
    let now = now_ms();
    let changed = Change::of(Id::Document(kind, name))
        .only_if_text("data", before, text, now)
        .set("data", string(text))
        .set("changed", number(now_us()))
        .set("expiration", number(expiration(now, document_rules::bounded(keep))));
    if table.write(vec![changed]).await?.is_err() {
        return Ok(false);
    }
    let listed = Change::of(Id::Documents(kind))
        .add("keys", AttributeValue::Ss(vec![name.clone()]))
        .set("expiration", number(expiration(now, MAX_DOCUMENT_KEEP)));
    if let Ok(list) = table.write_one(listed).await?
        && list.keys.len() > MAX_DOCUMENTS
    {
        remove_surplus(table, kind, list.keys).await?;
    }
    Ok(true)
}

/// Removes the names of expired documents, and the documents that changed longest ago.
async fn remove_surplus(table: &Table, kind: &str, names: Vec<String>) -> Result<(), StoreError> {
    let found = read_all(table, kind, names.clone()).await?;
    let (kept, surplus) = found.split_at(found.len().min(MAX_DOCUMENTS));
    let over = number(now_ms() / 1000);
    for (name, item) in surplus {
        // A document that has changed meanwhile is no longer among those.
        let removed = Change::of(Id::Document(kind, name)).only_if("changed", "=", number(item.changed));
        drop(table.write(vec![removed.set("expiration", over.clone())]).await?);
    }
    let is_kept = |name: &String| kept.iter().any(|(kept, _)| kept == name);
    let gone: Vec<String> = names.into_iter().filter(|name| !is_kept(name)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    table.put(Change::of(Id::Documents(kind)).take_off("keys", AttributeValue::Ss(gone))).await
}

/// Returns the documents with these names that have not expired, most recently changed first.
async fn read_all(
    table: &Table,
    kind: &str,
    mut names: Vec<String>,
) -> Result<Vec<(String, Item)>, StoreError> {
    let mut found = Vec::new();
    let mut reads = JoinSet::new();
    loop {
        while reads.len() < READS
            && let Some(name) = names.pop()
        {
            let (table, kind) = (table.clone(), kind.to_owned());
            reads.spawn(async move {
                let read = table.read(Id::Document(&kind, &name)).await;
                read.map(|item| item.map(|item| (name, item)))
            });
        }
        let Some(read) = reads.join_next().await else { break };
        found.extend(read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    found.sort_by_key(|(_, item)| std::cmp::Reverse(item.changed));
    Ok(found)
}
