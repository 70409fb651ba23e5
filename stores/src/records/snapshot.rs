//! The texts that a call has read, and its changes.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::table::Change;
use crate::record::{JobRecord, MAX_MATCHES};
use crate::rules::{Kept, Lock, Rows, Unreadable};
use crate::store::{StoreError, to_json};

pub(super) fn claim_of(key: &str) -> String {
    format!("claim:{key}")
}

pub(super) fn lock_of(name: &str) -> String {
    format!("lock:{name}")
}

pub(super) fn progress_of(key: &str) -> String {
    format!("progress:{key}")
}

pub(super) fn attempts_of(key: &str) -> String {
    format!("attempts:{key}")
}

/// Returns the key under which the keys of a job id are kept.
pub(super) fn ids_of(job_id: &str) -> String {
    format!("id:{job_id}")
}

/// A stored text with its expiry.
#[derive(Serialize, Deserialize)]
struct Expiring<T> {
    expires: u64,
    value: T,
}

pub(super) struct Snapshot {
    texts: HashMap<String, Text>,
}

struct Text {
    before: Option<String>,
    after: Option<(String, u64)>,
}

impl Snapshot {
    pub(super) fn new(keys: &[String], texts: Vec<Option<String>>) -> Result<Self, StoreError> {
        if texts.len() != keys.len() {
            let (texts, keys) = (texts.len(), keys.len());
            let text = format!(
                "read returned {texts} texts for {keys} keys: return one for each key, None if there is none"
            );
            return Err(StoreError::Unanswered(text.into()));
        }
        let texts = texts.into_iter().map(|before| Text { before, after: None });
        Ok(Self { texts: keys.iter().cloned().zip(texts).collect() })
    }

    /// Returns a value and its expiry, which may have passed. A value that this version cannot read is an error: if it counted
    /// as absent, a finished job would run again, and fencing tokens would restart.
    fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, u64)>, StoreError> {
        let text = self.texts.get(key);
        let current =
            text.and_then(|text| text.after.as_ref().map(|(text, _)| text).or(text.before.as_ref()));
        let Some(current) = current else { return Ok(None) };
        let Expiring { expires, value } =
            serde_json::from_str(current).map_err(|_| Unreadable::under(key))?;
        Ok(Some((value, expires)))
    }

    /// Returns a value that has not expired.
    pub(super) fn current<T: DeserializeOwned>(&self, key: &str, now: u64) -> Result<Option<T>, StoreError> {
        Ok(self.kept(key)?.filter(|(_, expires)| *expires > now).map(|(value, _)| value))
    }

    /// Returns a part of a job's history. A part that this version cannot read counts as absent: no decision depends on it.
    pub(super) fn history<T: DeserializeOwned>(&self, key: &str, now: u64) -> Option<T> {
        self.current(key, now).unwrap_or_default()
    }

    /// Changes a text that was read.
    pub(super) fn set(&mut self, key: &str, value: &impl Serialize, expires: u64) {
        if let Some(text) = self.texts.get_mut(key) {
            text.after = Some((to_json(&Expiring { expires, value }), expires));
        }
    }

    pub(super) fn changes(self) -> Vec<Change> {
        let changed = self.texts.into_iter().filter_map(|(key, Text { before, after })| {
            let (after, expires) = after?;
            let expires = UNIX_EPOCH + Duration::from_millis(expires);
            (before.as_ref() != Some(&after)).then_some(Change { key, before, after, expires })
        });
        changed.collect()
    }

    /// Returns the keys of a job id.
    pub(super) fn linked(&self, job_id: &str, now: u64) -> Result<Vec<String>, StoreError> {
        Ok(self.current(&ids_of(job_id), now)?.unwrap_or_default())
    }

    /// Returns the record of a key.
    pub(super) fn job(&self, job_id: &str, key: String, now: u64) -> Result<Option<JobRecord>, StoreError> {
        let kept = self.current(&claim_of(&key), now)?;
        let progress = self.history(&progress_of(&key), now);
        let attempts = self.history(&attempts_of(&key), now).unwrap_or_default();
        Ok(Kept::job(kept, job_id, key, progress, attempts, now))
    }
}

impl Rows for Snapshot {
    type Error = StoreError;

    fn claim(&mut self, key: &str) -> Result<Option<(Kept, u64)>, StoreError> {
        self.kept(&claim_of(key))
    }

    fn set_claim(&mut self, key: &str, kept: &Kept, _: u64, expires: u64) -> Result<(), StoreError> {
        self.set(&claim_of(key), kept, expires);
        Ok(())
    }

    fn lock(&mut self, name: &str) -> Result<Option<Lock>, StoreError> {
        Ok(self.kept(&lock_of(name))?.map(|(lock, _)| lock))
    }

    fn set_lock(&mut self, name: &str, lock: &Lock, expires: u64) -> Result<(), StoreError> {
        self.set(&lock_of(name), lock, expires);
        Ok(())
    }

    /// Links a job id to a key. If the id was not read, it has had the link since the key ran under it.
    fn link(&mut self, job_id: &str, key: &str, now: u64, expires: u64) -> Result<(), StoreError> {
        let ids = ids_of(job_id);
        let mut keys = self.linked(job_id, now)?;
        let until = self.kept::<Vec<String>>(&ids)?.map_or(0, |(_, until)| until);
        keys.retain(|known| known != key);
        keys.push(key.to_owned());
        let surplus = keys.len().saturating_sub(MAX_MATCHES);
        keys.drain(..surplus);
        self.set(&ids, &keys, expires.max(until));
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn too_few_texts_are_an_error_and_not_absent_ones() {
        let keys = ["a".to_owned(), "b".to_owned()];
        let error = Snapshot::new(&keys, vec![None]).err().unwrap().to_string();
        assert!(error.contains("read returned 1 texts for 2 keys: return one for each key"), "{error}");
    }

    #[test]
    fn a_newer_record_is_an_error_except_in_histories() {
        let keys = [claim_of("k"), lock_of("k"), ids_of("k"), progress_of("k"), attempts_of("k")];
        let newer = Some(r#"{"expires":9,"value":{"state":"paused"}}"#.to_owned());
        let mut snapshot = Snapshot::new(&keys, vec![newer; 5]).unwrap();
        let errors = [
            snapshot.claim("k").err().unwrap(),
            snapshot.lock("k").err().unwrap(),
            snapshot.link("k", "key", 1, 9).unwrap_err(),
            snapshot.job("k", "k".to_owned(), 1).unwrap_err(),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(
                error.contains(":k: cannot read its record") && error.contains("update this worker"),
                "{error}"
            );
        }
        assert_eq!(snapshot.history::<Vec<crate::AttemptRecord>>(&attempts_of("k"), 1), None);
        assert_eq!(snapshot.history::<crate::ProgressRecord>(&progress_of("k"), 1), None);
        assert!(snapshot.changes().is_empty());
    }
}
