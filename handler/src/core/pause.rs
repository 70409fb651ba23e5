//! The reasons for which a queue is not received from, and how long what is in hand is kept meanwhile.
//!
//! Receiving while no message can succeed costs each message one of the receives that its redrive policy allows. Every such
//! reason is a pause of the whole queue, and the queue is received from again once none is left.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;

/// How long messages that have not started are kept under renewal, if a pause keeps them from starting: longer than the 20 s
/// of the longest receive, so that those that were open have ended and fetch nothing back, and long enough for what
/// failed to be restarted, which then costs no message a receive.
pub(crate) const KEPT_IN_HAND: Duration = Duration::from_secs(60);

/// A pause of a queue: it is not received from until this ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The reason for it.
    pub reason: PauseReason,
    /// The sign that the reason is gone.
    pub probe: Probe,
}

/// The reason for a pause. Several may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PauseReason {
    /// The store of claims does not answer. What is in hand starts: its run waits for the store itself, and is retried later
    /// if that takes too long.
    StoreDown,
    /// The target that the handlers call is unhealthy.
    TargetUnhealthy,
    /// The process has too little memory, disk or file descriptors left to begin more work.
    OutOfResources,
    /// Too many jobs in a row have failed.
    BreakerOpen,
    /// An operator asked for it. What is in hand runs to its end.
    Operator,
}

/// The sign that the reason for a pause is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// The host asks the failed dependency until it answers, and then resumes the queue.
    Host,
    /// A message that is in hand runs, one at a time ([`Ledger::probe`](crate::core::Ledger::probe)): nothing else can show that the
    /// target is healthy.
    Message,
    /// An operator resumes the queue.
    Operator,
}

impl PauseReason {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::StoreDown, Self::TargetUnhealthy, Self::OutOfResources, Self::BreakerOpen, Self::Operator];

    /// The `reason` label of `drumline_paused`, and the name in logs and in the body of `/readyz`.
    pub fn label(self) -> &'static str {
        match self {
            Self::StoreDown => "store_down",
            Self::TargetUnhealthy => "target_unhealthy",
            Self::OutOfResources => "out_of_resources",
            Self::BreakerOpen => "breaker_open",
            Self::Operator => "operator",
        }
    }

    /// For how long what has not started is kept from starting, with its lease renewed; then it is released to the queue.
    /// `None` if it starts as usual.
    pub fn keeps_in_hand(self) -> Option<Duration> {
        match self {
            Self::TargetUnhealthy | Self::OutOfResources | Self::BreakerOpen => Some(KEPT_IN_HAND),
            Self::StoreDown | Self::Operator => None,
        }
    }
}

impl Probe {
    /// Its name in logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Message => "message",
            Self::Operator => "operator",
        }
    }
}

/// The pauses of one queue. An episode lasts from the first one until none is left.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// With the time of their beginning.
    held: BTreeMap<PauseReason, (Pause, Instant)>,
    /// While something keeps messages from starting: until when they are kept in hand.
    kept_until: Option<Instant>,
    /// That time is over.
    releases: bool,
    /// The messages that were released in this episode: at most those in hand at its beginning, and those received as probes.
    released: HashSet<Arc<str>>,
    probing: Probing,
}

/// The probes of a pause that a message has to end.
#[derive(Debug, Default)]
struct Probing {
    /// A probe is due.
    wanted: bool,
    /// A message that has not been a probe is to be received.
    needs_fresh: bool,
    /// The delivery that runs as the probe.
    runs: Option<DeliveryId>,
}

impl Pauses {
    /// Begins a pause; returns false if its reason held already.
    pub(crate) fn begin(&mut self, now: Instant, pause: Pause) -> bool {
        if self.held.contains_key(&pause.reason) {
            return false;
        }
        self.held.insert(pause.reason, (pause, now));
        if let Some(time) = pause.reason.keeps_in_hand() {
            self.kept_until.get_or_insert(now + time);
        }
        true
    }

    /// Ends a pause; returns it with its length.
    pub(crate) fn end(&mut self, now: Instant, reason: PauseReason) -> Option<(Pause, Duration)> {
        let (pause, since) = self.held.remove(&reason)?;
        if reason == PauseReason::TargetUnhealthy {
            self.probing = Probing::default();
        }
        if self.held.keys().all(|reason| reason.keeps_in_hand().is_none()) {
            self.kept_until = None;
            self.releases = false;
        }
        if self.held.is_empty() {
            self.released = HashSet::new();
        }
        Some((pause, now.saturating_duration_since(since)))
    }

    /// When messages that wait for their limits go back, since an operator has paused the queue and it is to become empty: a while after
    /// its beginning. `None` without such a pause.
    pub(crate) fn empties_at(&self) -> Option<Instant> {
        let (_, since) = self.held.get(&PauseReason::Operator)?;
        Some(*since + KEPT_IN_HAND)
    }

    /// The reasons that hold, in order.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = PauseReason> + Clone + '_ {
        self.held.keys().copied()
    }

    /// Returns true if no receive may be opened.
    pub(crate) fn any(&self) -> bool {
        !self.held.is_empty()
    }

    /// The delivery that runs as a probe.
    pub(crate) fn probe(&self) -> Option<DeliveryId> {
        self.probing.runs
    }

    /// A probe is due, unless another reason than an unhealthy target keeps messages in hand as well.
    pub(crate) fn ask_for_probe(&mut self) {
        let mut keeps = self.held.keys().filter(|reason| reason.keeps_in_hand().is_some());
        let is_target = keeps.next() == Some(&PauseReason::TargetUnhealthy) && keeps.next().is_none();
        self.probing.wanted = is_target;
    }

    /// Returns true if a delivery should start as a probe.
    pub(crate) fn wants_probe(&self) -> bool {
        self.probing.wanted
    }

    /// Returns true if a message is to be received although the queue is paused, since those in hand have been probes.
    pub(crate) fn needs_fresh(&self) -> bool {
        self.probing.needs_fresh && self.held.len() == 1
    }

    /// No delivery is ready to be a probe, or only those that have been one.
    pub(crate) fn ask_for_fresh(&mut self) {
        self.probing.needs_fresh = true;
    }

    /// A message that is received to be a probe pays with one receive, and not with a second one: it stays in hand.
    pub(crate) fn keep_fresh(&mut self, message_id: &Arc<str>) {
        if std::mem::take(&mut self.probing.needs_fresh) {
            self.released.insert(Arc::clone(message_id));
        }
    }

    /// The delivery runs as a probe.
    pub(crate) fn probe_runs(&mut self, id: DeliveryId) {
        self.probing.wanted = false;
        self.probing.runs = Some(id);
    }

    /// No further delivery has to start for the probe that is due.
    pub(crate) fn probe_is_done(&mut self) {
        self.probing.wanted = false;
    }

    /// Returns true if the run that has ended was a probe.
    pub(crate) fn probe_ended(&mut self, id: DeliveryId) -> bool {
        self.probing.runs.take_if(|probe| *probe == id).is_some()
    }

    /// Returns true if nothing may start.
    pub(crate) fn keeps_in_hand(&self) -> bool {
        self.kept_until.is_some()
    }

    /// Returns true if the time for which messages are kept is over, so they are released.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        self.releases |= self.kept_until.is_some_and(|until| until <= now);
        self.releases
    }

    /// When messages are released.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.kept_until.filter(|_| !self.releases)
    }

    /// Returns true if this episode has released the message before.
    pub(crate) fn has_released(&self, message_id: &str) -> bool {
        self.released.contains(message_id)
    }

    /// The message is released.
    pub(crate) fn releases(&mut self, message_id: &Arc<str>) {
        self.released.insert(Arc::clone(message_id));
    }
}
