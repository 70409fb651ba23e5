//! Job ids, and the keys of what is kept elsewhere of their jobs.

use std::sync::Arc;

use lru::LruCache;

use crate::record::MAX_MATCHES;

/// A bounded index of keys by job id. The job id used longest ago goes first.
#[derive(Debug)]
pub(super) struct JobIds {
    max: usize,
    /// The key added last is at the end.
    keys: LruCache<Arc<str>, Vec<Arc<str>>>,
}

impl JobIds {
    /// An empty index of at most `max` job ids.
    pub(super) fn new(max: usize) -> Self {
        // Unbounded for the cache, which would allocate all its space at once: the bound is kept here.
        Self { max, keys: LruCache::unbounded() }
    }

    /// Adds a key to a job id, of which the newest [`MAX_MATCHES`] are kept.
    pub(super) fn add(&mut self, job_id: &Arc<str>, key: &Arc<str>) {
        let keys = self.keys.get_or_insert_mut(Arc::clone(job_id), || Vec::with_capacity(1));
        if keys.last() != Some(key) {
            keys.retain(|known| known != key);
            if keys.len() == MAX_MATCHES {
                keys.remove(0);
            }
            keys.push(Arc::clone(key));
        }
        if self.keys.len() > self.max {
            self.keys.pop_lru();
        }
    }

    /// Returns the keys of a job id.
    pub(super) fn keys(&self, job_id: &str) -> &[Arc<str>] {
        self.keys.peek(job_id).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_of_the_newest_job_ids_are_kept() {
        let mut ids = JobIds::new(2);
        for key in 0..MAX_MATCHES + 3 {
            for _ in 0..2 {
                ids.add(&"a".into(), &key.to_string().into());
            }
        }
        assert_eq!(ids.keys("a").len(), MAX_MATCHES);
        assert_eq!(ids.keys("a").first().map(|key| &**key), Some("3"));
        ids.add(&"b".into(), &"1".into());
        ids.add(&"a".into(), &"7".into());
        assert_eq!(ids.keys("a").last().map(|key| &**key), Some("7"));
        ids.add(&"c".into(), &"1".into());
        assert!(ids.keys("b").is_empty());
        assert_eq!((ids.keys("a").len(), ids.keys("c").len()), (MAX_MATCHES, 1));
    }
}
