//! Letters that wait to be sent, and their grouping into batches.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use drumline_dlq::letter_id::LetterId;
use drumline_producer::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outgoing};

use crate::dlq::hold::Held;

/// A letter with the message that replays it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: LetterId,
    /// The id of the letter's message.
    pub(super) letter: Arc<str>,
    /// The receipt and the end of its hold; none for a letter from a file.
    pub(super) receipt: Option<(String, u64)>,
    pub(super) outgoing: Outgoing,
    /// The keys under which the job is done, if it should run again.
    pub(super) done: Vec<String>,
}

impl Candidate {
    /// Creates the candidate of a letter. A letter from a file has no receipt.
    pub(super) fn held(held: Held, outgoing: Outgoing, done: Vec<String>) -> Self {
        let id = held.id();
        let receipt = Some((held.message.receipt, held.until)).filter(|(receipt, _)| !receipt.is_empty());
        Self { id, letter: held.message.id, receipt, outgoing, done }
    }
}

/// The waiting letters by their queue, in the order in which they were received.
#[derive(Debug, Default)]
pub(super) struct Batches {
    queues: Vec<Waiting>,
    count: usize,
    /// The index of the queue that is next.
    turn: usize,
}

#[derive(Debug)]
struct Waiting {
    url: Arc<str>,
    is_fifo: bool,
    letters: VecDeque<Candidate>,
    /// Groups whose letters must be received again because one of them was released, with the latest end of their earlier
    /// holds.
    put_off: HashMap<Arc<str>, u64>,
}

/// A batch for one queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) url: Arc<str>,
    pub(super) is_fifo: bool,
    pub(super) letters: Vec<Candidate>,
}

impl Batches {
    /// Adds a letter for the queue with this URL.
    pub(super) fn add(&mut self, url: &Arc<str>, is_fifo: bool, candidate: Candidate) {
        let place = self.queues.iter().position(|waiting| waiting.url == *url).unwrap_or_else(|| {
            let (url, letters, put_off) = (Arc::clone(url), VecDeque::new(), HashMap::new());
            self.queues.push(Waiting { url, is_fifo, letters, put_off });
            self.queues.len() - 1
        });
        self.queues[place].letters.push_back(candidate);
        self.count += 1;
    }

    /// Returns the number of waiting letters.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns true if a batch of `most` letters, or a full batch, is ready. A FIFO batch has only one letter of each group, so
    /// there is no need to wait for a full one.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let most = most.min(MAX_BATCH_ENTRIES);
        self.queues
            .iter()
            .any(|waiting| !waiting.letters.is_empty() && (waiting.is_fifo || waiting.letters.len() >= most))
    }

    /// Takes the next batch, with at most `most` letters.
    pub(super) fn take(&mut self, most: usize) -> Option<Batch> {
        let count = self.queues.len();
        for turn in 0..count {
            let place = (self.turn + turn) % count;
            let waiting = &mut self.queues[place];
            if waiting.letters.is_empty() {
                continue;
            }
            let letters = waiting.take(most.min(MAX_BATCH_ENTRIES));
            self.count -= letters.len();
            self.turn = place + 1;
            return Some(Batch { url: Arc::clone(&waiting.url), is_fifo: waiting.is_fifo, letters });
        }
        None
    }

    /// Takes the letters of a group that wait for this queue.
    pub(super) fn take_group(&mut self, url: &str, group: &Arc<str>) -> Vec<Candidate> {
        let Some(waiting) = self.queues.iter_mut().find(|waiting| *waiting.url == *url) else {
            return Vec::new();
        };
        let taken = waiting.take_group(group);
        self.count -= taken.len();
        taken
    }

    /// Removes and returns the letters that must not be sent before an earlier letter of their group is received again. `until`
    /// is the latest end of the holds so far.
    pub(super) fn put_off(&mut self, url: &str, group: &Arc<str>, until: u64) -> Vec<Candidate> {
        if let Some(waiting) = self.queues.iter_mut().find(|waiting| *waiting.url == *url) {
            waiting.put_off.insert(Arc::clone(group), until);
        }
        self.take_group(url, group)
    }

    /// Returns true if this letter was received before an earlier letter of its group was put off.
    pub(super) fn is_put_off(&self, url: &str, candidate: &Candidate) -> bool {
        let Some(waiting) = self.queues.iter().find(|waiting| *waiting.url == *url) else { return false };
        let group = candidate.outgoing.group.as_ref();
        let put_off = group.and_then(|group| waiting.put_off.get(group));
        let until = candidate.receipt.as_ref().map(|(_, until)| *until);
        put_off.zip(until).is_some_and(|(put_off, until)| until <= *put_off)
    }

    /// Takes all letters that wait.
    pub(super) fn drain(&mut self) -> Vec<Candidate> {
        self.count = 0;
        self.queues.iter_mut().flat_map(|waiting| waiting.letters.drain(..)).collect()
    }
}

impl Waiting {
    fn take_group(&mut self, group: &Arc<str>) -> Vec<Candidate> {
        let (of_group, others): (Vec<_>, Vec<_>) =
            self.letters.drain(..).partition(|letter| letter.outgoing.group.as_ref() == Some(group));
        self.letters.extend(others);
        of_group
    }

    /// Takes the first letters that fit into a batch. On a FIFO queue, takes only the first letter of each group: SQS may
    /// accept only a part of a batch, and then the next letter of a group must not overtake.
    fn take(&mut self, most: usize) -> Vec<Candidate> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut groups: HashSet<Arc<str>> = HashSet::new();
        let mut place = 0;
        while taken.len() < most && place < self.letters.len() {
            let next = &self.letters[place];
            let group = next.outgoing.group.clone().filter(|_| self.is_fifo);
            if group.as_ref().is_some_and(|group| groups.contains(group)) {
                place += 1;
                continue;
            }
            if !taken.is_empty() && bytes + next.outgoing.bytes() > MAX_BATCH_BYTES {
                break;
            }
            let Some(next) = self.letters.remove(place) else { break };
            bytes += next.outgoing.bytes();
            groups.extend(group);
            taken.push(next);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, group: Option<&str>, bytes: usize) -> Candidate {
        let outgoing = Outgoing {
            body: "x".repeat(bytes),
            deduplication_id: name.to_owned(),
            group: group.map(Arc::from),
            ..Outgoing::default()
        };
        Candidate { id: LetterId::of(name), letter: name.into(), receipt: None, outgoing, done: Vec::new() }
    }

    fn names(batch: Option<Batch>) -> Vec<String> {
        batch
            .map(|batch| batch.letters.iter().map(|letter| letter.letter.to_string()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn a_batch_has_ten_letters_of_one_queue_and_queues_take_turns() {
        let mut batches = Batches::default();
        for n in 0..12 {
            batches.add(&"a".into(), false, candidate(&format!("a{n}"), None, 1));
        }
        batches.add(&"b".into(), false, candidate("b0", None, 1));
        assert!(batches.is_full(10) && batches.len() == 13);
        assert_eq!(names(batches.take(10)).len(), 10);
        assert!(!batches.is_full(10) && batches.is_full(1));
        assert_eq!(names(batches.take(10)), ["b0"]);
        assert_eq!(names(batches.take(1)), ["a10"]);
        assert_eq!(names(batches.take(9)), ["a11"]);
        assert!(batches.take(10).is_none() && batches.len() == 0);
    }

    #[test]
    fn a_batch_has_no_more_bytes_than_sqs_takes() {
        let mut batches = Batches::default();
        for n in 0..3 {
            batches.add(&"a".into(), false, candidate(&format!("a{n}"), None, 400_000));
        }
        assert_eq!(names(batches.take(10)), ["a0", "a1"]);
        assert_eq!(names(batches.take(10)), ["a2"]);
    }

    #[test]
    fn a_batch_for_a_fifo_queue_has_one_letter_of_each_group() {
        let mut batches = Batches::default();
        for (name, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")] {
            batches.add(&"q".into(), true, candidate(name, Some(group), 1));
        }
        assert!(batches.is_full(10), "nothing is waited for");
        assert_eq!(names(batches.take(10)), ["a1", "b1"]);
        assert_eq!(names(batches.take(10)), ["a2"]);
        assert_eq!(batches.take_group("q", &"a".into()).len(), 1);
        assert!(batches.take(10).is_none() && batches.len() == 0);
    }

    #[test]
    fn letters_behind_one_put_off_wait_to_be_received_again() {
        let held = |name, group, until| Candidate {
            receipt: Some((String::new(), until)),
            ..candidate(name, Some(group), 1)
        };
        let mut batches = Batches::default();
        for (name, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
            batches.add(&"q".into(), true, held(name, group, 10));
        }
        assert_eq!(names(batches.take(10)), ["a1", "b1"]);
        assert_eq!(batches.put_off("q", &"a".into(), 20).len(), 1);
        assert_eq!((names(batches.take(10)), batches.len()), (vec!["b2".to_owned()], 0));
        assert!(batches.is_put_off("q", &held("a3", "a", 20)), "received before");
        assert!(!batches.is_put_off("q", &held("a1", "a", 21)), "received since");
        assert!(!batches.is_put_off("q", &held("b3", "b", 20)));
    }
}
