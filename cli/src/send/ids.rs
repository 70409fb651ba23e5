//! The ids of a send's jobs and messages. A record has the same ids each time that it is sent.
//!
//! If the process ends before the response to a batch arrives, `--resume` sends the batch again. A FIFO queue drops it by its
//! deduplication ids; on a standard queue, workers recognize its jobs by their ids and run each once. Another send of the same
//! file has other ids: it is new work.

use drumline_dlq::journal::deduplication_id;
use ulid::Ulid;

/// The ids of a send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    send: Ulid,
}

impl Ids {
    /// Returns the ids of the send with this id.
    pub(super) fn of(send: Ulid) -> Self {
        Self { send }
    }

    /// Returns the ids of a new send.
    pub(super) fn new() -> Self {
        Self::of(Ulid::generate())
    }

    /// Returns the id of the send.
    pub(super) fn send(&self) -> Ulid {
        self.send
    }

    /// Returns the id of a record's job.
    pub(super) fn job_id(&self, record: u64) -> String {
        Ulid::from_parts(self.send.timestamp_ms(), self.hash("job", record)).to_string()
    }

    /// Returns the id by which a FIFO queue drops a duplicate of a record.
    pub(super) fn deduplication_id(&self, record: u64) -> String {
        format!("{:032x}", self.hash("message", record))
    }

    /// Returns the delay of a record within the spread, in the unit of `most`.
    pub(super) fn spread(&self, record: u64, most: u64) -> u64 {
        let part = self.hash("delay", record) % (u128::from(most) + 1);
        u64::try_from(part).unwrap_or(most)
    }

    fn hash(&self, kind: &str, record: u64) -> u128 {
        let hex = deduplication_id(&self.send.to_string(), &format!("{kind}:{record}"));
        u128::from_str_radix(&hex, 16).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_repeat_within_a_send_only() {
        let (ids, others) = (Ids::new(), Ids::of(Ulid::from_parts(1, 1)));
        let all: HashSet<String> =
            [ids, others].iter().flat_map(|ids| (1..500).map(|record| ids.job_id(record))).collect();
        assert_eq!(all.len(), 2 * 499);
        let again = Ids::of(ids.send());
        for record in [1, 2, 499, u64::MAX] {
            assert_eq!(ids.job_id(record), again.job_id(record));
            assert_eq!(ids.deduplication_id(record), again.deduplication_id(record));
            assert_eq!(ids.spread(record, 60), again.spread(record, 60));
        }
        assert_eq!((ids.job_id(1).len(), ids.deduplication_id(1).len()), (26, 32));
    }

    #[test]
    fn delays_are_spread_over_the_whole_time() {
        let ids = Ids::new();
        let delays: HashSet<u64> = (0..2_000).map(|record| ids.spread(record, 9)).collect();
        assert_eq!(delays, (0..=9).collect());
        assert_eq!(ids.spread(1, 0), 0);
    }
}
