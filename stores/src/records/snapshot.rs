//! The texts that a call has read, and its changes to them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::table::Change;
use crate::record::{JobRecord, MAX_MATCHES};
use crate::rules::{Kept, Lock, Rows};
use crate::store::to_json;

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

/// The keys that a job id leads to.
pub(super) fn ids_of(job_id: &str) -> String {
    format!("id:{job_id}")
}

/// A text, as it is kept.
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
    pub(super) fn new(keys: &[String], texts: Vec<Option<String>>) -> Self {
        let texts = texts.into_iter().map(|before| Text { before, after: None });
        Self { texts: keys.iter().cloned().zip(texts).collect() }
    }

    /// Returns a value and its expiry, which may be over. One that this version cannot read counts as absent.
    fn kept<T: DeserializeOwned>(&self, key: &str) -> Option<(T, u64)> {
        let text = self.texts.get(key)?;
        let current = text.after.as_ref().map(|(text, _)| text).or(text.before.as_ref())?;
        let Expiring { expires, value } = serde_json::from_str(current).ok()?;
        Some((value, expires))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, key: &str, now: u64) -> Option<T> {
        self.kept(key).filter(|(_, expires)| *expires > now).map(|(value, _)| value)
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

    /// Returns the keys that a job id leads to.
    pub(super) fn linked(&self, job_id: &str, now: u64) -> Vec<String> {
        self.get(&ids_of(job_id), now).unwrap_or_default()
    }

    /// Returns what is known under a key.
    pub(super) fn job(&self, job_id: &str, key: String, now: u64) -> Option<JobRecord> {
        let kept: Option<Kept> = self.get(&claim_of(&key), now);
        let progress = self.get(&progress_of(&key), now);
        let attempts = self.get(&attempts_of(&key), now).unwrap_or_default();
        let claim = kept.as_ref().map(|kept| kept.shown(key, now));
        let job = JobRecord::of(job_id, claim, progress, attempts)?;
        let (scope, source) = kept.map_or((None, None), |kept| (Some(kept.scope), kept.source));
        Some(JobRecord { scope, source, ..job })
    }
}

impl Rows for Snapshot {
    type Error = Infallible;

    fn claim(&mut self, key: &str) -> Result<Option<(Kept, u64)>, Infallible> {
        Ok(self.kept(&claim_of(key)))
    }

    fn set_claim(&mut self, key: &str, kept: &Kept, _: u64, expires: u64) -> Result<(), Infallible> {
        self.set(&claim_of(key), kept, expires);
        Ok(())
    }

    fn lock(&mut self, name: &str) -> Result<Option<Lock>, Infallible> {
        Ok(self.kept(&lock_of(name)).map(|(lock, _)| lock))
    }

    fn set_lock(&mut self, name: &str, lock: &Lock, expires: u64) -> Result<(), Infallible> {
        self.set(&lock_of(name), lock, expires);
        Ok(())
    }

    /// A job id that was not read has led to its key since that ran under it.
    fn link(&mut self, job_id: &str, key: &str, now: u64, expires: u64) -> Result<(), Infallible> {
        let ids = ids_of(job_id);
        let mut keys = self.linked(job_id, now);
        let until = self.kept::<Vec<String>>(&ids).map_or(0, |(_, until)| until);
        keys.retain(|known| known != key);
        keys.push(key.to_owned());
        let surplus = keys.len().saturating_sub(MAX_MATCHES);
        keys.drain(..surplus);
        self.set(&ids, &keys, expires.max(until));
        Ok(())
    }
}
