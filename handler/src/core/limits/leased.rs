//! The leased tokens of a rate that workers share.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::local_rate::{Key, MAX_KEYS};
use super::rules::RateRule;
use super::search_pace::SearchPace;
use super::tokens::{GrantedTokens, TokenDemand};

/// The leased tokens of one type, by key.
///
/// A key first requests one token, then twice as many each time that all of them were used, and fewer if some have expired: so
/// a worker with few jobs leases few tokens.
#[derive(Debug)]
pub(super) struct LeasedTokens {
    /// The maximum number of tokens of one lease.
    most: NonZeroU32,
    keys: HashMap<Key, KeyTokens, foldhash::fast::RandomState>,
    /// The keys that need tokens and have not requested them, by their waiting time, the longest first.
    needing: VecDeque<Key>,
    has_new_demand: bool,
    search: SearchPace,
}

/// The tokens of one key.
#[derive(Debug)]
struct KeyTokens {
    /// The blocks that have tokens left, the oldest first.
    blocks: VecDeque<Block>,
    /// The maximum number of tokens of the next lease.
    most: NonZeroU32,
    /// The earliest time of the next request.
    ask_at: Option<Instant>,
    state: Asking,
    /// A job waits for a token.
    is_waited_for: bool,
    /// The store did not answer the last time.
    is_unanswered: bool,
}

/// Tokens of one lease.
#[derive(Debug)]
struct Block {
    granted: u32,
    left: u32,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Nothing is needed.
    No,
    /// It is among those that need tokens.
    Needing,
    /// A request is in flight.
    Asked,
}

/// The reason why there is no leased token, and the time at which there may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unleased {
    /// They are used up, or not yet leased.
    UsedUp(Instant),
    /// The store does not answer.
    Unanswered(Instant),
}

/// The time in which a store answers. A job requests its permit again as soon as it has.
const ANSWER: Duration = Duration::from_secs(1);

impl LeasedTokens {
    pub(super) fn new(rule: &RateRule) -> Self {
        Self {
            most: rule.most_leased(),
            keys: HashMap::default(),
            needing: VecDeque::new(),
            has_new_demand: false,
            search: SearchPace::default(),
        }
    }

    /// Returns true if the key is known or may become so. If there are too many, those that hold and need no tokens are removed
    /// first.
    pub(super) fn has_room_for(&mut self, now: Instant, key: &Key) -> bool {
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(key) && self.search.is_due(now) {
            self.keys.retain(|_, tokens| tokens.state != Asking::No || !tokens.is_empty(now));
        }
        self.keys.len() < MAX_KEYS || self.keys.contains_key(key)
    }

    /// Checks that there is a token of a key. If there is none, tokens are requested.
    pub(super) fn check(&mut self, now: Instant, key: &Key) -> Result<(), Unleased> {
        let tokens = self.keys.entry(key.clone()).or_insert_with(KeyTokens::new);
        if !tokens.is_empty(now) {
            return Ok(());
        }
        tokens.is_waited_for = true;
        let until = tokens.ask_at.filter(|at| *at > now).unwrap_or(now + ANSWER);
        let unleased =
            if tokens.is_unanswered { Unleased::Unanswered(until) } else { Unleased::UsedUp(until) };
        self.need(key);
        Err(unleased)
    }

    /// Returns the tokens that are left for jobs without a key.
    pub(super) fn left(&self, now: Instant) -> u32 {
        let blocks = self.keys.get(&None).into_iter().flat_map(|tokens| &tokens.blocks);
        blocks.filter(|block| block.until > now).map(|block| block.left).fold(0, u32::saturating_add)
    }

    /// Takes an available token. More are requested once half of a block is used.
    pub(super) fn take(&mut self, now: Instant, key: &Key) {
        let Some(tokens) = self.keys.get_mut(key) else { return };
        let Some(block) = tokens.live(now) else { return };
        block.left -= 1;
        let is_low = block.left < block.granted / 2;
        if block.left == 0 {
            tokens.blocks.pop_front();
        }
        if is_low && tokens.blocks.len() <= 1 {
            self.need(key);
        }
    }

    fn need(&mut self, key: &Key) {
        let Some(tokens) = self.keys.get_mut(key) else { return };
        if tokens.state == Asking::No {
            tokens.state = Asking::Needing;
            self.needing.push_back(key.clone());
            self.has_new_demand = true;
        }
    }

    /// Returns true once after tokens are needed.
    pub(super) fn has_new_demand(&mut self) -> bool {
        std::mem::take(&mut self.has_new_demand)
    }

    /// Returns at most `most` keys that need tokens and may request them now, with the maximum of each.
    pub(super) fn demand(&mut self, now: Instant, most: usize) -> Vec<(Key, NonZeroU32)> {
        let mut demand = Vec::new();
        let keys = &mut self.keys;
        self.needing.retain(|key| {
            let Some(tokens) = keys.get_mut(key) else { return false };
            if demand.len() >= most || tokens.ask_at.is_some_and(|at| at > now) {
                return true;
            }
            tokens.state = Asking::Asked;
            demand.push((key.clone(), tokens.most));
            false
        });
        demand
    }

    /// Returns the time at which a key that needs tokens may request them.
    pub(super) fn next_demand(&self) -> Option<Instant> {
        let needing = self.needing.iter().filter_map(|key| self.keys.get(key));
        needing.filter_map(|tokens| tokens.ask_at).min()
    }

    pub(super) fn granted(&mut self, now: Instant, demand: &TokenDemand, granted: GrantedTokens) {
        let Some(tokens) = self.keys.get_mut(&demand.key) else { return };
        if tokens.state == Asking::Asked {
            tokens.state = Asking::No;
        }
        tokens.is_unanswered = false;
        tokens.ask_at = Some(granted.next_at);
        let GrantedTokens { tokens: number, until, .. } = granted;
        if number > 0 {
            tokens.blocks.push_back(Block { granted: number, left: number, until });
        }
        let is_used_up = tokens.is_empty(now) && tokens.is_waited_for;
        if std::mem::take(&mut tokens.is_waited_for) && number == demand.most.get() {
            tokens.most = tokens.most.saturating_mul(NonZeroU32::MIN.saturating_add(1)).min(self.most);
        }
        if is_used_up {
            // No token was granted, and the waiting job requests its permit again only after a change.
            tokens.is_waited_for = true;
            self.need(&demand.key);
        }
    }

    pub(super) fn unanswered(&mut self, demand: &TokenDemand, retry_at: Instant) {
        let Some(tokens) = self.keys.get_mut(&demand.key) else { return };
        if tokens.state == Asking::Asked {
            tokens.state = Asking::No;
        }
        tokens.is_unanswered = true;
        tokens.ask_at = Some(retry_at);
        self.need(&demand.key);
    }
}

impl KeyTokens {
    fn new() -> Self {
        Self {
            blocks: VecDeque::new(),
            most: NonZeroU32::MIN,
            ask_at: None,
            state: Asking::No,
            is_waited_for: false,
            is_unanswered: false,
        }
    }

    /// Returns the block whose tokens are used first. Expired tokens are removed, and the next lease is smaller by their
    /// number.
    fn live(&mut self, now: Instant) -> Option<&mut Block> {
        while let Some(block) = self.blocks.front()
            && block.until <= now
        {
            self.most =
                NonZeroU32::new(self.most.get().saturating_sub(block.left)).unwrap_or(NonZeroU32::MIN);
            self.blocks.pop_front();
        }
        self.blocks.front_mut()
    }

    fn is_empty(&mut self, now: Instant) -> bool {
        self.live(now).is_none()
    }
}

#[cfg(test)]
#[path = "leased_tests.rs"]
mod tests;
