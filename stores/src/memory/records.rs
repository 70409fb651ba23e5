//! The records of the memory store, found by their keys and forgotten in the order in which they were written.
//!
//! What a claim costs is the memory that it touches. So the records lie side by side in a ring, where those of the jobs
//! at hand are neighbours, and all that is spread over memory is an index of four bytes for each key.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::record::Record;

/// See the [module's documentation](self).
#[derive(Debug)]
pub(super) struct Records {
    max: usize,
    /// The record written longest ago comes first. `None` behind it where a record was taken out, or moved.
    ring: VecDeque<Option<Record>>,
    /// The place of the ring's first. Places are counted on for ever, and wrap.
    first: u32,
    /// The place of each key's record.
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Records {
    /// None yet, and space for `max` of them, which the system provides as it is used: what grows later has to be copied.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            // A few more, because what is moved to the end leaves its place empty.
            ring: VecDeque::with_capacity(max + max / 16),
            first: 0,
            // Twice the places, so that those that are given up are soon free again.
            places: HashTable::with_capacity(2 * max),
            hasher: RandomState::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        let place = self.places.find(self.hasher.hash_one(key), |place| self.is_at(*place, key))?;
        self.ring[self.index(*place)].as_ref()
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Record> {
        let place = *self.places.find(self.hasher.hash_one(key), |place| self.is_at(*place, key))?;
        let index = self.index(place);
        self.ring[index].as_mut()
    }

    /// Adds a record, as the one written last. Its key has none.
    pub(super) fn add(&mut self, record: Record) {
        let Self { ring, first, places, hasher, .. } = self;
        #[allow(clippy::cast_possible_truncation, reason = "there are far fewer places than that")]
        let place = first.wrapping_add(ring.len() as u32);
        let hash = hasher.hash_one(&*record.key);
        ring.push_back(Some(record));
        places.insert_unique(hash, place, |place| {
            let index = place.wrapping_sub(*first) as usize;
            ring[index].as_ref().map_or(0, |record| hasher.hash_one(&*record.key))
        });
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Record> {
        let Self { ring, first, places, hasher, .. } = self;
        let index = |place: u32| place.wrapping_sub(*first) as usize;
        let is_it = |place: &u32| ring[index(*place)].as_ref().is_some_and(|record| *record.key == *key);
        let (place, _) = places.find_entry(hasher.hash_one(key), is_it).ok()?.remove();
        let record = ring[index(place)].take();
        while let Some(None) = ring.front() {
            ring.pop_front();
            *first = first.wrapping_add(1);
        }
        record
    }

    /// Has a record count as the one written last.
    pub(super) fn move_to_end(&mut self, key: &str) {
        if let Some(record) = self.remove(key) {
            self.add(record);
        }
    }

    /// What was written longest ago.
    pub(super) fn oldest(&self) -> Option<&Record> {
        self.ring.front()?.as_ref()
    }

    /// Whether the oldest has to go before there is room for another one. Records that were taken out, or moved, take up
    /// room until all older ones have gone.
    pub(super) fn is_full(&self) -> bool {
        self.ring.len() >= self.max
    }

    fn is_at(&self, place: u32, key: &str) -> bool {
        self.ring[self.index(place)].as_ref().is_some_and(|record| *record.key == *key)
    }

    fn index(&self, place: u32) -> usize {
        place.wrapping_sub(self.first) as usize
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::record::State;
    use tokio::time::Instant;

    fn record(key: &str) -> Record {
        Record {
            key: key.into(),
            counter: 0,
            state: State::Running,
            payload_hash: 0,
            job_type: "".into(),
            queue: "".into(),
            message_id: "".into(),
            attempts: 1,
            spared: 0,
            until: Instant::now(),
            rest: None,
        }
    }

    /// Against a list of keys in the order of their writing, and long enough for places to wrap.
    #[test]
    fn records_are_found_and_go_in_the_order_of_their_writing() {
        const MAX: usize = 16;
        let mut random = fastrand::Rng::with_seed(7);
        let mut records = Records::new(MAX);
        records.first = u32::MAX - 100;
        let mut model: Vec<String> = Vec::new();
        for _ in 0..10_000 {
            let key = random.u8(..40).to_string();
            let place = model.iter().position(|known| *known == key);
            match (random.u8(..4), place) {
                (0, _) => {
                    let removed = records.remove(&key).map(|record| record.key.to_string());
                    assert_eq!(removed, place.map(|place| model.remove(place)));
                }
                (1, _) => {
                    records.move_to_end(&key);
                    let moved = place.map(|place| model.remove(place));
                    model.extend(moved);
                }
                (_, None) => {
                    while records.is_full() {
                        let oldest = records.oldest().unwrap().key.to_string();
                        assert_eq!(oldest, model.remove(0));
                        assert!(records.remove(&oldest).is_some());
                    }
                    records.add(record(&key));
                    model.push(key);
                }
                (_, Some(_)) => records.get_mut(&key).unwrap().attempts += 1,
            }
            assert_eq!(records.oldest().map(|record| record.key.to_string()).as_ref(), model.first());
            for key in 0..40_u8 {
                let key = key.to_string();
                assert_eq!(
                    records.get(&key).map(|record| &*record.key),
                    model.contains(&key).then_some(&*key)
                );
            }
        }
    }
}
