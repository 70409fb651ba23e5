//! The records of the memory store, found by their keys and forgotten in the order in which they were written.
//!
//! What a claim costs is the memory that it touches. So the records lie side by side in a ring, where those of the jobs
//! at hand are neighbours and what is added takes the place of what is forgotten, and all that is spread over memory is an
//! index of four bytes for each key.
//!
//! People look jobs up by their job ids, and seldom: so those have no index, but four bytes of hash each beside the ring,
//! which a look-up scans.

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
    /// Hashes of the job ids, at the same indices as the ring's.
    job_ids: VecDeque<u32>,
    /// The place of the ring's first. Places are counted on for ever, and wrap.
    first: u32,
    /// The place of each key's record.
    places: HashTable<u32>,
    hasher: RandomState,
}

/// A key and its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct HashedKey<'a> {
    key: &'a str,
    hash: u64,
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
            job_ids: VecDeque::with_capacity(max),
            first: 0,
            // Twice the places, so that those that are given up are soon free again.
            places: HashTable::with_capacity(2 * max),
            hasher: RandomState::default(),
        }
    }

    /// Hashes a key, once for all that is done with it.
    pub(super) fn hashed<'a>(&self, key: &'a str) -> HashedKey<'a> {
        HashedKey { key, hash: self.hasher.hash_one(key) }
    }

    pub(super) fn get(&self, key: HashedKey<'_>) -> Option<&Record> {
        let index = self.index_of(key)?;
        self.ring[index].as_ref().map(|entry| &entry.record)
    }

    pub(super) fn get_mut(&mut self, key: HashedKey<'_>) -> Option<&mut Record> {
        let index = self.index_of(key)?;
        self.ring[index].as_mut().map(|entry| &mut entry.record)
    }

    /// Returns the records of a job id.
    pub(super) fn of_job<'a>(&'a self, job_id: &'a str) -> impl Iterator<Item = &'a Record> {
        let wanted = self.job_hash(job_id.as_bytes());
        let candidates = self.job_ids.iter().zip(&self.ring).filter(move |(hash, _)| **hash == wanted);
        let records = candidates.filter_map(|(_, entry)| entry.as_ref().map(|entry| &entry.record));
        records.filter(move |record| record.name.job_id() == job_id.as_bytes())
    }

    /// Adds a record, as the one written last. Its key, which is `key`, has none.
    #[inline]
    pub(super) fn add(&mut self, key: HashedKey<'_>, record: Record) {
        self.push(Entry { hash: key.hash, record });
    }

    pub(super) fn remove(&mut self, key: HashedKey<'_>) -> Option<Record> {
        let index = self.index_of(key)?;
        self.take(index).map(|entry| entry.record)
    }

    /// Returns the records, the one written last first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Record> {
        self.ring.iter().rev().flatten().map(|entry| &entry.record)
    }

    /// What was written longest ago.
    pub(super) fn oldest(&self) -> Option<&Record> {
        self.ring.front()?.as_ref().map(|entry| &entry.record)
    }

    /// Drops the oldest where it lies: it would be some hundred bytes to move.
    pub(super) fn drop_oldest(&mut self) {
        if let Some(slot) = self.ring.front_mut()
            && let Some(Entry { hash, .. }) = *slot
        {
            *slot = None;
            self.free(0, hash);
        }
    }

    pub(super) fn move_oldest_to_end(&mut self) {
        if let Some(entry) = self.take(0) {
            self.push(entry);
        }
    }

    /// Has a record count as the one written last.
    pub(super) fn move_to_end(&mut self, key: HashedKey<'_>) {
        if let Some(entry) = self.index_of(key).and_then(|index| self.take(index)) {
            self.push(entry);
        }
    }

    /// Whether the oldest has to go before there is room for another one. Records that were taken out, or moved, take up
    /// room until all older ones have gone.
    pub(super) fn is_full(&self) -> bool {
        self.ring.len() >= self.max
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "there are far fewer places than that")]
    fn push(&mut self, entry: Entry) {
        let job_hash = self.job_hash(entry.record.name.job_id());
        self.job_ids.push_back(job_hash);
        let Self { ring, first, places, .. } = self;
        let (hash, place) = (entry.hash, first.wrapping_add(ring.len() as u32));
        ring.push_back(Some(entry));
        places.insert_unique(hash, place, |place| {
            ring[place.wrapping_sub(*first) as usize].as_ref().map_or(0, |entry| entry.hash)
        });
    }

    fn take(&mut self, index: usize) -> Option<Entry> {
        let entry = self.ring.get_mut(index)?.take()?;
        self.free(index, entry.hash);
        Some(entry)
    }

    /// Forgets the place of a record that is gone.
    #[allow(clippy::cast_possible_truncation, reason = "there are far fewer places than that")]
    fn free(&mut self, index: usize, hash: u64) {
        let place = self.first.wrapping_add(index as u32);
        if let Ok(found) = self.places.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.job_ids.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    fn index_of(&self, HashedKey { key, hash }: HashedKey<'_>) -> Option<usize> {
        let index = |place: &u32| place.wrapping_sub(self.first) as usize;
        let is_it =
            |place: &u32| self.ring[index(place)].as_ref().is_some_and(|entry| entry.record.name.is(key));
        self.places.find(hash, is_it).map(index)
    }

    #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
    fn job_hash(&self, job_id: &[u8]) -> u32 {
        self.hasher.hash_one(job_id) as u32
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::record::State;
    use drumline::message::Identity;
    use tokio::time::Instant;

    fn identity(name: &str) -> Identity {
        Identity::new("queue", "type", None, name)
    }

    fn record(name: &str) -> Record {
        Record {
            // Every other one has a job id of its own.
            name: (&match name.parse::<u8>() {
                Ok(number) if number % 2 == 0 => identity(name).with_job_id("even"),
                _ => identity(name),
            })
                .into(),
            fencing_token: 0,
            state: State::Running,
            payload_hash: 0,
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
        let name = |record: &Record| record.name.key().rsplit_once(':').unwrap().1.to_owned();
        for _ in 0..10_000 {
            let id = random.u8(..40).to_string();
            let key = identity(&id).key().to_string();
            let key = records.hashed(&key);
            let place = model.iter().position(|known| *known == id);
            match (random.u8(..5), place) {
                (0, _) => {
                    let removed = records.remove(key).map(|record| name(&record));
                    assert_eq!(removed, place.map(|place| model.remove(place)));
                }
                (1, _) => {
                    records.move_to_end(key);
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
                        assert_eq!(name(records.oldest().unwrap()), model.remove(0));
                        records.drop_oldest();
                    }
                    records.add(key, record(&id));
                    model.push(id);
                }
                (_, Some(_)) => records.get_mut(key).unwrap().attempts += 1,
            }
            assert_eq!(records.oldest().map(name).as_ref(), model.first());
            for id in (0..40_u8).map(|id| id.to_string()) {
                let found = records.get(records.hashed(identity(&id).key())).map(name);
                assert_eq!(found, model.contains(&id).then_some(id));
            }
            let is_even = |id: &&String| id.parse::<u8>().unwrap() % 2 == 0;
            let (even, odd): (Vec<_>, Vec<_>) = model.iter().partition(is_even);
            assert_eq!(records.of_job("even").map(name).collect::<Vec<_>>().iter().collect::<Vec<_>>(), even);
            for id in odd {
                assert_eq!(records.of_job(id).map(name).collect::<Vec<_>>().iter().collect::<Vec<_>>(), [id]);
            }
        }
    }
}
