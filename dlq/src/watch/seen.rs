//! The letters that a watch has seen, by their message ids.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;

use drumline::message::Message;

use crate::letter::original_id;
use crate::letter_id::LetterId;

/// The maximum number of remembered message ids.
const MAX_SEEN: usize = 20_000;

/// The maximum number of ids in a handover.
const MAX_HANDED_OVER: usize = 500;

/// The number of hexadecimal digits of an id in a handover.
const DIGITS: usize = 8;

/// The last message ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    ids: HashSet<LetterId>,
    order: VecDeque<LetterId>,
    /// The ends of the ids that an earlier watch has seen: long enough to distinguish the letters of a DLQ.
    earlier: HashSet<u32>,
    earlier_order: Vec<u32>,
}

impl Seen {
    /// Returns true if the id was not known.
    pub(super) fn add(&mut self, id: LetterId) -> bool {
        if self.has(id) {
            return false;
        }
        self.ids.insert(id);
        self.order.push_back(id);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    pub(super) fn has(&self, id: LetterId) -> bool {
        self.ids.contains(&id) || self.earlier.contains(&end(id))
    }

    /// Returns the last ids as a text, and the number of omitted ids.
    pub(super) fn last(&self) -> (String, u64) {
        let all = self.earlier_order.iter().copied().chain(self.order.iter().copied().map(end));
        let left_out = (self.earlier_order.len() + self.order.len()).saturating_sub(MAX_HANDED_OVER);
        let text = all.skip(left_out).fold(String::new(), |mut text, end| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{end:08x}");
            text
        });
        (text, left_out as u64)
    }

    /// Adds the ids of such a text.
    pub(super) fn take_over(&mut self, text: &str) {
        let digits: Vec<char> = text.chars().collect();
        let ends = digits.chunks(DIGITS).map(|digits| digits.iter().collect::<String>());
        self.earlier_order = ends.filter_map(|digits| u32::from_str_radix(&digits, 16).ok()).collect();
        self.earlier = self.earlier_order.iter().copied().collect();
    }
}

/// Returns the last 32 bits of an id, which are random in SQS's ids.
fn end(id: LetterId) -> u32 {
    let [.., a, b, c, d] = id.to_u128().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The letters that a look needs: a number of unseen ones.
#[derive(Debug)]
pub struct Wanted {
    seen: Seen,
    missing: u64,
}

impl Wanted {
    pub(super) fn new(seen: Seen, missing: u64) -> Self {
        Self { seen, missing }
    }

    /// Records received letters. Returns true if more are needed.
    pub fn wants_more(&mut self, received: &[Message]) -> bool {
        let unseen = received.iter().filter(|message| self.seen.add(LetterId::of(original_id(message))));
        self.missing = self.missing.saturating_sub(unseen.count() as u64);
        self.missing > 0
    }
}
