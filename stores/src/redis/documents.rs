//! Documents: a hash for each kind. Each value begins with the times of its change and its expiry in microseconds.

use std::collections::HashMap;
use std::time::Duration;

use super::RedisStore;
use crate::document::{Document, MAX_DOCUMENTS};
use crate::document_rules;
use crate::store::{StoreError, millis};

/// Seconds and microseconds.
type Time = (u64, u64);

impl RedisStore {
    pub(super) async fn get_document(&self, kind: &str, name: &str) -> Result<Option<String>, StoreError> {
        document_rules::check_name(kind, name)?;
        let mut call = ::redis::pipe();
        call.cmd("HGET").arg(self.key("documents", kind)).arg(name);
        call.cmd("TIME");
        let (value, time): (Option<String>, Time) = self.connection.send(&call).await?;
        Ok(value.and_then(|value| live(&value, micros(time))).map(|(_, text)| text))
    }

    pub(super) async fn list_documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        document_rules::check_kind(kind)?;
        let mut call = ::redis::pipe();
        call.cmd("HGETALL").arg(self.key("documents", kind));
        call.cmd("TIME");
        let (values, time): (HashMap<String, String>, Time) = self.connection.send(&call).await?;
        let now = micros(time);
        let mut documents: Vec<(u64, Document)> = values
            .into_iter()
            .filter_map(|(name, value)| {
                let (changed, text) = live(&value, now)?;
                Some((changed, Document { name, text }))
            })
            .collect();
        documents.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
        Ok(documents.into_iter().map(|(_, document)| document).collect())
    }

    pub(super) async fn change_document(
        &self,
        kind: &str,
        document: Document,
        before: Option<&str>,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        document_rules::check_name(kind, &document.name)?;
        document_rules::check_text(&document.text)?;
        let mut call = self.scripts.put_document.key(self.key("documents", kind));
        call.arg(&document.name).arg(before.unwrap_or_default()).arg(u8::from(before.is_some()));
        call.arg(&document.text).arg(millis(document_rules::bounded(keep))).arg(MAX_DOCUMENTS);
        self.connection.run(&call).await
    }
}

fn micros((seconds, micros): Time) -> u64 {
    seconds * 1_000_000 + micros
}

/// Returns the time of a document's change and its text, unless it has expired. A value that cannot be read counts as absent.
fn live(value: &str, now: u64) -> Option<(u64, String)> {
    let (changed, rest) = value.split_once(' ')?;
    let (expires, text) = rest.split_once(' ')?;
    let is_live = expires.parse::<u64>().ok()? > now;
    is_live.then_some((changed.parse().ok()?, text.to_owned()))
}
