//! The messages of one queue: which are visible, until when others are hidden, and which have exceeded their retention.
//!
//! Invariants: a message is in exactly one [`State`]; a hidden message has one entry in `hidden`; a visible one is in
//! `visible` (standard queue) or marked so in its group (FIFO); every message has one entry in `by_age`. All changes of
//! state pass through [`Store::enter`] and [`Store::leave`], and each costs O(log n).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::groups::Groups;
use crate::message::{Message, Receipt, State};
use crate::time::Timestamp;

/// The messages of one queue.
#[derive(Debug)]
pub(crate) struct Store {
    messages: HashMap<u64, Message>,
    next_key: u64,
    next_receipt: u64,
    visible: Visible,
    /// Delayed and in-flight messages by the time they become visible.
    hidden: BTreeSet<(Timestamp, u64)>,
    /// All messages by the time they were sent.
    by_age: BTreeSet<(Timestamp, u64)>,
    counts: Counts,
    charge: usize,
}

/// The visible messages in the order in which they are received.
#[derive(Debug)]
enum Visible {
    /// By the time each became visible, so a message that becomes visible again goes behind those that wait.
    Standard(BTreeSet<(Timestamp, u64)>),
    Fifo(Groups),
}

/// The number of messages in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}

/// The messages that a receive has taken out of the queue.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Keys of messages that are now in flight, in order.
    pub(crate) received: Vec<u64>,
    /// Messages that were received too often. They have left the store.
    pub(crate) exhausted: Vec<Message>,
}

impl Store {
    pub(crate) fn new(fifo: bool) -> Self {
        let visible =
            if fifo { Visible::Fifo(Groups::default()) } else { Visible::Standard(BTreeSet::default()) };
        Self {
            messages: HashMap::new(),
            next_key: 1,
            next_receipt: 1,
            visible,
            hidden: BTreeSet::new(),
            by_age: BTreeSet::new(),
            counts: Counts::default(),
            charge: 0,
        }
    }

    /// Advances the time: drops messages older than `retention` and shows messages that were hidden until now.
    pub(crate) fn advance(&mut self, now: Timestamp, retention: Duration) {
        while let Some(&(sent_at, key)) = self.by_age.first() {
            if sent_at.plus(retention) > now {
                break;
            }
            self.remove(key, now);
        }
        while let Some(&(until, key)) = self.hidden.first() {
            if until > now {
                break;
            }
            self.change_state(key, State::Visible { since: until }, now);
        }
    }

    /// Adds a message in its state and returns its key.
    pub(crate) fn insert(&mut self, message: Message, now: Timestamp) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.by_age.insert((message.sent_at, key));
        self.charge += message.charge();
        self.enter(key, message.state, message.group.as_ref(), now);
        self.messages.insert(key, message);
        key
    }

    pub(crate) fn remove(&mut self, key: u64, now: Timestamp) -> Option<Message> {
        let message = self.messages.remove(&key)?;
        self.by_age.remove(&(message.sent_at, key));
        self.charge -= message.charge();
        self.leave(key, message.state, message.group.as_ref(), now);
        Some(message)
    }

    /// Receives up to `max` messages and hides them for `visibility`. Messages that were received `max_receives` times are
    /// taken out.
    pub(crate) fn take(
        &mut self,
        max: usize,
        visibility: Duration,
        max_receives: Option<u32>,
        now: Timestamp,
    ) -> Taken {
        let mut taken = Taken::default();
        let mut last: Option<(u64, Arc<str>)> = None;
        while taken.received.len() < max {
            let Some(key) = self.next_visible(last.as_ref()) else { break };
            let message = self.messages.get_mut(&key).expect("indexed messages are stored");
            if max_receives.is_some_and(|max| message.receive_count >= max) {
                taken.exhausted.extend(self.remove(key, now));
                continue;
            }
            message.receive_count += 1;
            message.first_received_at.get_or_insert(now);
            message.receipt = Some(Receipt { serial: self.next_receipt, received_at: now });
            self.next_receipt += 1;
            if let (Visible::Fifo(_), Some(group)) = (&self.visible, &message.group) {
                last = Some((key, Arc::clone(group)));
            }
            self.change_state(key, State::InFlight { until: now.plus(visibility) }, now);
            taken.received.push(key);
        }
        taken
    }

    /// Returns the next message to receive: on a FIFO queue the message after `last` in its group, if there is one.
    fn next_visible(&self, last: Option<&(u64, Arc<str>)>) -> Option<u64> {
        match &self.visible {
            Visible::Standard(visible) => visible.first().map(|(_, key)| *key),
            Visible::Fifo(groups) => last
                .and_then(|(key, group)| groups.visible_after(group, *key))
                .or_else(|| groups.first_open()),
        }
    }

    /// Returns the message that a move task takes next: the same one that a receive would take.
    pub(crate) fn next_to_move(&self) -> Option<u64> {
        self.next_visible(None)
    }

    pub(crate) fn change_state(&mut self, key: u64, state: State, now: Timestamp) {
        let message = self.messages.get_mut(&key).expect("only stored messages change state");
        let old = std::mem::replace(&mut message.state, state);
        let group = message.group.clone();
        self.leave(key, old, group.as_ref(), now);
        self.enter(key, state, group.as_ref(), now);
    }

    fn enter(&mut self, key: u64, state: State, group: Option<&Arc<str>>, now: Timestamp) {
        if let Some(until) = state.hidden_until() {
            self.hidden.insert((until, key));
        }
        *self.count(state) += 1;
        match (&mut self.visible, state, group) {
            (Visible::Standard(visible), State::Visible { since }, _) => {
                visible.insert((since, key));
            }
            (Visible::Fifo(groups), _, Some(group)) => groups.enter(group, key, state, now),
            _ => {}
        }
    }

    fn leave(&mut self, key: u64, state: State, group: Option<&Arc<str>>, now: Timestamp) {
        if let Some(until) = state.hidden_until() {
            self.hidden.remove(&(until, key));
        }
        *self.count(state) -= 1;
        match (&mut self.visible, state, group) {
            (Visible::Standard(visible), State::Visible { since }, _) => {
                visible.remove(&(since, key));
            }
            (Visible::Fifo(groups), _, Some(group)) => groups.leave(group, key, now),
            _ => {}
        }
    }

    fn count(&mut self, state: State) -> &mut usize {
        match state {
            State::Delayed { .. } => &mut self.counts.delayed,
            State::Visible { .. } => &mut self.counts.visible,
            State::InFlight { .. } => &mut self.counts.in_flight,
        }
    }

    /// Applies a changed delay: delayed messages become visible `delay` after they were sent, because on a FIFO queue the
    /// change applies to existing messages.
    pub(crate) fn redelay(&mut self, delay: Duration, now: Timestamp) {
        let delayed: Vec<(u64, Timestamp)> = self
            .messages
            .iter()
            .filter(|(_, message)| matches!(message.state, State::Delayed { .. }))
            .map(|(key, message)| (*key, message.sent_at.plus(delay)))
            .collect();
        for (key, until) in delayed {
            self.change_state(key, State::Delayed { until }, now);
        }
    }

    pub(crate) fn clear(&mut self) {
        let fifo = matches!(self.visible, Visible::Fifo(_));
        let (next_key, next_receipt) = (self.next_key, self.next_receipt);
        *self = Self { next_key, next_receipt, ..Self::new(fifo) };
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Message> {
        self.messages.get(&key)
    }

    /// Returns all messages in their order of arrival.
    pub(crate) fn in_order(&self) -> Vec<&Message> {
        let mut messages: Vec<(u64, &Message)> = self.messages.iter().map(|(key, m)| (*key, m)).collect();
        messages.sort_unstable_by_key(|(key, _)| *key);
        messages.into_iter().map(|(_, message)| message).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the bytes charged for all messages.
    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    /// Returns true if a receive would find a message now, even if only to move it to the dead-letter queue.
    pub(crate) fn has_receivable(&self) -> bool {
        self.next_visible(None).is_some()
    }

    /// Returns the time when a hidden message next becomes visible.
    pub(crate) fn next_visible_at(&self) -> Option<Timestamp> {
        self.hidden.first().map(|(until, _)| *until)
    }

    /// Returns the time when the oldest message was sent.
    pub(crate) fn oldest_sent_at(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(sent_at, _)| *sent_at)
    }
}
