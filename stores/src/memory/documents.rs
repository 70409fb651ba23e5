//! The documents in memory, of which each kind is a short list.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::document::{Document, MAX_DOCUMENTS};
use crate::document_rules;
use crate::store::StoreError;

/// The most kinds of documents: together 50 MiB. The program names them, and no producer of jobs.
const MAX_KINDS: usize = 16;

/// All documents of this process.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Those of a kind, the one changed last at the end.
    kinds: HashMap<String, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    document: Document,
    expires: Instant,
}

impl Documents {
    pub(super) fn get(&self, kind: &str, name: &str, now: Instant) -> Result<Option<String>, StoreError> {
        document_rules::check_name(kind, name)?;
        Ok(self.live(kind, now).find(|document| document.name == name).map(|document| document.text.clone()))
    }

    pub(super) fn list(&self, kind: &str, now: Instant) -> Result<Vec<Document>, StoreError> {
        document_rules::check_kind(kind)?;
        let mut documents: Vec<Document> = self.live(kind, now).cloned().collect();
        documents.reverse();
        Ok(documents)
    }

    pub(super) fn put(
        &mut self,
        kind: &str,
        document: Document,
        before: Option<&str>,
        keep: Duration,
        now: Instant,
    ) -> Result<bool, StoreError> {
        document_rules::check_name(kind, &document.name)?;
        document_rules::check_text(&document.text)?;
        let current = self.get(kind, &document.name, now)?;
        if !document_rules::may_change(current.as_deref(), before, &document.text) {
            return Ok(false);
        }
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(kind) {
            let text = format!("the memory store keeps documents of {MAX_KINDS} kinds");
            return Err(StoreError::Refused(text.into()));
        }
        let entries = self.kinds.entry(kind.to_owned()).or_default();
        entries.retain(|entry| entry.expires > now && entry.document.name != document.name);
        entries.push(Entry { document, expires: now + document_rules::bounded(keep) });
        let surplus = entries.len().saturating_sub(MAX_DOCUMENTS);
        entries.drain(..surplus);
        Ok(true)
    }

    fn live(&self, kind: &str, now: Instant) -> impl Iterator<Item = &Document> {
        let entries = self.kinds.get(kind).into_iter().flatten();
        entries.filter(move |entry| entry.expires > now).map(|entry| &entry.document)
    }
}
