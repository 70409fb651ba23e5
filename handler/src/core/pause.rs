//! The reasons for which no messages are received from a queue, and the time for which the messages in hand are kept.
//!
//! Receiving while no message can succeed costs each message one of the receives that its redrive policy allows. Every such
//! reason is a pause of the whole queue, and receiving resumes when no reason is left.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;

/// The time for which messages that have not started are kept under renewal, if a pause keeps them from starting: longer than
/// the 20 s of the longest receive, so that all receives that were open have ended and fetch nothing again, and long enough to
/// restart the failed part, which then costs no message a receive.
pub(crate) const KEPT_IN_HAND: Duration = Duration::from_secs(60);

/// A pause of a queue: no messages are received until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The reason of the pause.
    pub reason: PauseReason,
    /// The sign that the reason is gone.
    pub probe: Probe,
}

/// The reason for a pause. Several may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PauseReason {
    /// The store of claims does not answer. Messages in hand start: their runs wait for the store themselves, and are retried
    /// later if that takes too long.
    StoreDown,
    /// The target that the handlers call is unhealthy.
    TargetUnhealthy,
    /// The process has too little memory, disk or file descriptors left to start more work.
    OutOfResources,
    /// Too many jobs in a row have failed.
    BreakerOpen,
    /// An operator has paused the queue. Messages in hand run to their end.
    Operator,
}

/// The sign that the reason for a pause is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// The host checks the failed dependency until it answers, and then resumes the queue.
    Host,
    /// A message in hand runs, one at a time ([`Ledger::probe`](crate::core::Ledger::probe)): only a run can show that the
    /// target is healthy.
    Message,
    /// An operator resumes the queue.
    Operator,
}

impl PauseReason {
    /// All reasons, in order.
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

    /// Returns the time for which messages are kept from starting, with their leases renewed; then they are released to the
    /// queue. `None` if they start as usual.
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
    /// The pauses, with the times of their beginnings.
    held: BTreeMap<PauseReason, (Pause, Instant)>,
    /// The time until which messages are kept in hand, while a reason keeps them from starting.
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
    /// A message that has not been a probe must be received.
    needs_fresh: bool,
    /// The delivery that runs as the probe.
    runs: Option<DeliveryId>,
}

impl Pauses {
    /// Starts a pause. Returns false if its reason already held.
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

    /// Ends a pause. Returns it with its length.
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

    /// The time at which messages that wait for their limits are released, because an operator has paused the queue and it
    /// should become empty: a while after the beginning of the pause. `None` without such a pause.
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

    /// Requests a probe, unless another reason than an unhealthy target also keeps messages in hand.
    pub(crate) fn ask_for_probe(&mut self) {
        let mut keeps = self.held.keys().filter(|reason| reason.keeps_in_hand().is_some());
        let is_target = keeps.next() == Some(&PauseReason::TargetUnhealthy) && keeps.next().is_none();
        self.probing.wanted = is_target;
    }

    /// Returns true if a delivery should start as a probe.
    pub(crate) fn wants_probe(&self) -> bool {
        self.probing.wanted
    }

    /// Returns true if a message must be received although the queue is paused, because those in hand have been probes.
    pub(crate) fn needs_fresh(&self) -> bool {
        self.probing.needs_fresh && self.held.len() == 1
    }

    /// Requests a new message, because no delivery is ready to be a probe, or only those that have been one.
    pub(crate) fn ask_for_fresh(&mut self) {
        self.probing.needs_fresh = true;
    }

    /// Keeps a message that is received to be a probe in hand: it pays one receive, and not a second one.
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

    /// The time at which messages are released.
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
