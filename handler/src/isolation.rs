//! Messages that may kill the process run alone.
//!
//! A message that has been received several times without any ending known here may be the reason why the process
//! died, and its neighbours with it. Such suspects run one at a time, with nothing beside them. They may as well be
//! innocent (retried elsewhere, or before a deploy), so the caution is bounded: it lasts for a while from the first
//! suspect on, and a process that has lived through it trusts what it receives. A killer that comes later costs its
//! neighbours one receive, and the process that follows is cautious again. See ADR 0004.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::delivery::DeliveryId;

/// From this receive on, a message without a known ending is a suspect. Two crashes may be chance; the redrive policy
/// takes a message away after five receives or more, so this leaves it attempts to be found out in.
pub(crate) const SUSPECT_RECEIVES: u32 = 3;

/// How long suspects run alone, from the first one on.
const CAUTION: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Isolation {
    until: Option<Instant>,
    waiting: VecDeque<DeliveryId>,
    alone: Option<DeliveryId>,
}

impl Isolation {
    /// Whether a suspect that is ready now has to wait for its turn alone; starts the caution at the first one.
    pub(crate) fn takes(&mut self, now: Instant, id: DeliveryId) -> bool {
        let until = *self.until.get_or_insert(now + CAUTION);
        if now < until {
            self.waiting.push_back(id);
        }
        now < until
    }

    /// The suspect whose turn it is, once nothing runs beside it.
    pub(crate) fn next_alone(&mut self) -> Option<DeliveryId> {
        debug_assert!(self.alone.is_none(), "one suspect at a time");
        self.waiting.pop_front()
    }

    pub(crate) fn runs_alone(&mut self, id: DeliveryId) {
        self.alone = Some(id);
    }

    /// A delivery has ended, or goes without having been started.
    pub(crate) fn concluded(&mut self, id: DeliveryId) {
        if self.alone == Some(id) {
            self.alone = None;
        }
        self.waiting.retain(|waiting| *waiting != id);
    }

    /// Whether nothing may start beside what runs.
    pub(crate) fn is_running(&self) -> bool {
        self.alone.is_some()
    }

    /// Whether nothing more should be received for now.
    pub(crate) fn is_active(&self) -> bool {
        self.alone.is_some() || !self.waiting.is_empty()
    }

    /// The suspects that need not wait any longer, once the caution is over. The one that still runs then need not be
    /// alone any longer either.
    pub(crate) fn tick(&mut self, now: Instant) -> VecDeque<DeliveryId> {
        if self.until.is_some_and(|until| now >= until) {
            self.alone = None;
            std::mem::take(&mut self.waiting)
        } else {
            VecDeque::new()
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.until.filter(|_| self.is_active())
    }
}
