//! Job ids, and the keys of what is kept elsewhere of their jobs.

use std::sync::Arc;

use lru::LruCache;

use crate::record::MAX_MATCHES;

/// A bounded index of keys by job id. The job id used longest ago goes first.
#[derive(Debug)]
pub(super) struct JobIds {
    max: usize,
    max_bytes: usize,
    /// The key added last is at the end.
    keys: LruCache<Arc<str>, Vec<Arc<str>>>,
    /// The bytes of all job ids and keys.
    bytes: usize,
}

impl JobIds {
    /// An empty index of at most `max` job ids, with their keys of at most `max_bytes` together.
    pub(super) fn new(max: usize, max_bytes: usize) -> Self {
        // Unbounded for the cache, which would allocate all its space at once: the bounds are kept here.
        Self { max, max_bytes, keys: LruCache::unbounded(), bytes: 0 }
    }

    /// Adds a key to a job id, of which the newest [`MAX_MATCHES`] are kept.
    pub(super) fn add(&mut self, job_id: &Arc<str>, key: &Arc<str>) {
        let Self { keys: all, bytes, .. } = self;
        let keys = all.get_or_insert_mut(Arc::clone(job_id), || {
            *bytes += job_id.len();
            Vec::with_capacity(1)
        });
        if keys.last() != Some(key) {
            if let Some(known) = keys.iter().position(|known| known == key) {
                keys.remove(known);
            } else {
                *bytes += key.len();
            }
            if keys.len() == MAX_MATCHES {
                *bytes -= keys.remove(0).len();
            }
            keys.push(Arc::clone(key));
        }
        while self.keys.len() > self.max || self.bytes > self.max_bytes {
            let Some((job_id, keys)) = self.keys.pop_lru() else { break };
            self.bytes -= job_id.len() + keys.iter().map(|key| key.len()).sum::<usize>();
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
        let mut ids = JobIds::new(2, usize::MAX);
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

    #[test]
    fn long_ids_and_keys_are_fewer() {
        let mut ids = JobIds::new(100, 1_000);
        for id in 0..50 {
            ids.add(&format!("{id:0>300}").into(), &"k".repeat(100).into());
            ids.add(&format!("{id:0>300}").into(), &"l".repeat(100).into());
            assert_eq!(ids.bytes, ids.keys.len() * 500);
            assert!(ids.bytes <= 1_000);
        }
        assert_eq!(ids.keys(&format!("{:0>300}", 49)).len(), 2);
        assert_eq!(ids.keys(&format!("{:0>300}", 47)).len(), 0);
        // One that is longer than all of it is not kept, and does no harm.
        ids.add(&"x".repeat(2_000).into(), &"k".into());
        assert_eq!((ids.keys.len(), ids.bytes), (0, 0));
    }
}
