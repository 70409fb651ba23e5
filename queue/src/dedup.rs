//! The memory of a FIFO queue for the last five minutes, which it uses to drop duplicates.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::checksum::hex;
use crate::limits::DEDUPLICATION_INTERVAL;
use crate::time::Timestamp;

/// The scope, if deduplication is per group, and the id.
pub(crate) type DeduplicationKey = (Option<Arc<str>>, Arc<str>);

/// The first message with an id. A repeated send gets its reply.
#[derive(Debug, Clone)]
pub(crate) struct FirstSend {
    pub(crate) message_id: Arc<str>,
    pub(crate) sequence_number: Arc<str>,
}

/// Deduplication ids with their first sends. An entry outlives its message: deleting does not end the interval.
#[derive(Debug, Default)]
pub(crate) struct Deduplication {
    sends: HashMap<DeduplicationKey, FirstSend>,
    /// The same keys by their expiry; sends arrive in time order, so this is a queue.
    expiries: VecDeque<(Timestamp, DeduplicationKey)>,
}

impl Deduplication {
    pub(crate) fn find(&self, key: &DeduplicationKey) -> Option<&FirstSend> {
        self.sends.get(key)
    }

    pub(crate) fn remember(&mut self, key: DeduplicationKey, send: FirstSend, now: Timestamp) {
        self.expiries.push_back((now.plus(DEDUPLICATION_INTERVAL), key.clone()));
        self.sends.insert(key, send);
    }

    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        while self.expiries.front().is_some_and(|(expiry, _)| *expiry <= now) {
            if let Some((_, key)) = self.expiries.pop_front() {
                self.sends.remove(&key);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.expiries.len()
    }
}

/// Returns the id that content-based deduplication gives a message: the SHA-256 of the body, without attributes.
pub(crate) fn content_id(body: &str) -> Arc<str> {
    hex(&Sha256::digest(body.as_bytes()))
}
