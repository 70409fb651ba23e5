//! The records of the memory store, found by their keys and forgotten in the order in which they were written.
//!
//! What a claim costs is the memory that it touches. So the records lie side by side in a ring, where those of the jobs
//! at hand are neighbours and what is added takes the place of what is forgotten, and all that is spread over memory is an
//! index of four bytes for each key.

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
    ring: VecDeque<Option<Entry>>,
    /// The place of the ring's first. Places are counted on for ever, and wrap.
    first: u32,
    /// The place of each key's record.
    places: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    /// Of the key.
    hash: u64,
    record: Record,
}

impl Records {
    /// None yet, and space for `max` of them, which the system provides as it is used: what grows later has to be copied.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            // As many and no more, so that what is added takes the place of what was just forgotten.
            ring: VecDeque::with_capacity(max),
            first: 0,
            // Twice the places, so that those that are given up are soon free again.
            places: HashTable::with_capacity(2 * max),
            hasher: RandomState::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        let index = self.index_of(key)?;
        self.ring[index].as_ref().map(|entry| &entry.record)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Record> {
        let index = self.index_of(key)?;
        self.ring[index].as_mut().map(|entry| &mut entry.record)
    }

    /// Adds a record, as the one written last. Its key, which is `key`, has none.
    pub(super) fn add(&mut self, key: &str, record: Record) {
        self.push(Entry { hash: self.hasher.hash_one(key), record });
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Record> {
        let index = self.index_of(key)?;
        self.take(index).map(|entry| entry.record)
    }

    /// What was written longest ago.
    pub(super) fn oldest(&self) -> Option<&Record> {
        self.ring.front()?.as_ref().map(|entry| &entry.record)
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Record> {
        self.take(0).map(|entry| entry.record)
    }

    pub(super) fn move_oldest_to_end(&mut self) {
        if let Some(entry) = self.take(0) {
            self.push(entry);
        }
    }

    /// Has a record count as the one written last.
    pub(super) fn move_to_end(&mut self, key: &str) {
        if let Some(entry) = self.index_of(key).and_then(|index| self.take(index)) {
            self.push(entry);
        }
    }

    /// Whether the oldest has to go before there is room for another one. Records that were taken out, or moved, take up
    /// room until all older ones have gone.
    pub(super) fn is_full(&self) -> bool {
        self.ring.len() >= self.max
    }

    #[allow(clippy::cast_possible_truncation, reason = "there are far fewer places than that")]
    fn push(&mut self, entry: Entry) {
        let Self { ring, first, places, .. } = self;
        let (hash, place) = (entry.hash, first.wrapping_add(ring.len() as u32));
        ring.push_back(Some(entry));
        places.insert_unique(hash, place, |place| {
            ring[place.wrapping_sub(*first) as usize].as_ref().map_or(0, |entry| entry.hash)
        });
    }

    #[allow(clippy::cast_possible_truncation, reason = "there are far fewer places than that")]
    fn take(&mut self, index: usize) -> Option<Entry> {
        let entry = self.ring.get_mut(index)?.take()?;
        let place = self.first.wrapping_add(index as u32);
        if let Ok(found) = self.places.find_entry(entry.hash, |other| *other == place) {
            found.remove();
        }
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        Some(entry)
    }

    fn index_of(&self, key: &str) -> Option<usize> {
        let index = |place: &u32| place.wrapping_sub(self.first) as usize;
        let is_it =
            |place: &u32| self.ring[index(place)].as_ref().is_some_and(|entry| entry.record.key.is(key));
        self.places.find(self.hasher.hash_one(key), is_it).map(index)
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
            match (random.u8(..5), place) {
                (0, _) => {
                    let removed = records.remove(&key).map(|record| record.key.to_string());
                    assert_eq!(removed, place.map(|place| model.remove(place)));
                }
                (1, _) => {
                    records.move_to_end(&key);
                    let moved = place.map(|place| model.remove(place));
                    model.extend(moved);
                }
                (2, _) => {
                    records.move_oldest_to_end();
                    let moved = (!model.is_empty()).then(|| model.remove(0));
                    model.extend(moved);
                }
                (_, None) => {
                    while records.is_full() {
                        assert_eq!(records.remove_oldest().unwrap().key.to_string(), model.remove(0));
                    }
                    records.add(&key, record(&key));
                    model.push(key);
                }
                (_, Some(_)) => records.get_mut(&key).unwrap().attempts += 1,
            }
            assert_eq!(records.oldest().map(|record| record.key.to_string()).as_ref(), model.first());
            for key in 0..40_u8 {
                let key = key.to_string();
                assert_eq!(
                    records.get(&key).map(|record| record.key.to_string()),
                    model.contains(&key).then_some(key)
                );
            }
        }
    }
}
