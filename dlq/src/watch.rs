//! The watch over a DLQ: it reads depths and failures, and decides about looks and alerts.
//!
//! A look is a receive, so it is the last resort: if the workers' own failures explain a rise of the depth, no look is needed.
//! A look is due at most once a minute, and never while no job dies. Invariants: each letter with a known message id counts
//! once, and letters from before the watch do not count; a new fingerprint is reported at once, and afterwards at most once in
//! a quiet period, with all deaths since then; all memory is limited.

use std::collections::{BTreeMap, VecDeque};

use crate::alert::Alert;
use crate::fingerprint::Fingerprint;
use crate::letter_id::LetterId;

mod death;
mod handover;
mod reports;
mod seen;

pub use death::Death;
pub use handover::{Handover, Pending};
use reports::Reports;
pub use reports::{MAX_ALERTS, SUMMARY_PAUSE_MS};
use seen::Seen;
pub use seen::Wanted;

/// The maximum number of letters that a look receives. If there are more, it is a sample.
pub const MAX_LOOK: usize = 500;

/// The shortest time between two looks.
pub const LOOK_PAUSE_MS: u64 = 60_000;

/// The time within which a failure should appear in the depth of the DLQ: SQS moves its message after the next receive, and
/// reports depths with a delay of a minute.
const EXPECTED_MS: u64 = 10 * 60_000;

/// The watch over one DLQ. Times are in milliseconds since the Unix epoch.
#[derive(Debug)]
pub struct Watch {
    name: String,
    quiet_ms: u64,
    /// True if letters that are in the DLQ at the start of the watch are reported.
    reports_old: bool,
    depth: Option<u64>,
    /// The times of failures that the depth does not include yet.
    expected: VecDeque<u64>,
    unexplained: u64,
    /// The time since when there are unexplained letters.
    unexplained_ms: u64,
    /// The time in which other workers may explain them before a look.
    patience_ms: u64,
    looked_ms: Option<u64>,
    /// True if a look is due at letters from before the watch, which are not reported.
    is_at_old: bool,
    /// The number of letters that are not new, although their ids are not known.
    hidden: u64,
    reports: Reports,
    seen: Seen,
}

impl Watch {
    /// Makes a watch over the DLQ of this name, which reports a known fingerprint once in `quiet_ms`. `reports_old` also
    /// reports letters from before the watch.
    pub fn new(name: impl Into<String>, quiet_ms: u64, reports_old: bool) -> Self {
        Self {
            name: name.into(),
            quiet_ms,
            reports_old,
            depth: None,
            expected: VecDeque::new(),
            unexplained: 0,
            unexplained_ms: 0,
            patience_ms: 0,
            looked_ms: None,
            is_at_old: false,
            hidden: 0,
            reports: Reports::default(),
            seen: Seen::default(),
        }
    }

    /// Sets the time for which a known fingerprint is not reported again, in milliseconds.
    #[must_use]
    pub fn with_quiet(self, quiet_ms: u64) -> Self {
        Self { quiet_ms, ..self }
    }

    /// Sets the time in which other workers may explain a rise of the depth before a look, in milliseconds.
    #[must_use]
    pub fn with_patience(self, patience_ms: u64) -> Self {
        Self { patience_ms, ..self }
    }

    /// Records a failure after which a worker expects a letter. Returns false if its message is known.
    pub fn failed(&mut self, death: Death, now_ms: u64) -> bool {
        let is_new = self.add(death, now_ms);
        if is_new {
            self.expected.push_back(now_ms);
        }
        is_new
    }

    /// Records a failure that another worker has reported, after the depth was recorded. Returns false if its message is known.
    pub fn failed_elsewhere(&mut self, death: Death, now_ms: u64) -> bool {
        let is_new = self.add(death, now_ms);
        self.unexplained = self.unexplained.saturating_sub(u64::from(is_new));
        is_new
    }

    fn add(&mut self, death: Death, now_ms: u64) -> bool {
        let is_new = self.seen.add(death.message);
        if is_new {
            self.reports.add(death, now_ms, false);
        }
        is_new
    }

    /// Records the number of letters. Returns true if there are unexplained letters.
    pub fn depth(&mut self, depth: u64, now_ms: u64) -> bool {
        while self.expected.front().is_some_and(|at| at.saturating_add(EXPECTED_MS) < now_ms) {
            self.expected.pop_front();
        }
        if self.depth.is_none() && !self.reports_old {
            (self.is_at_old, self.hidden, self.depth) = (true, depth, Some(depth));
        }
        let rise = depth.saturating_sub(self.depth.unwrap_or(0));
        let explained = usize::try_from(rise).unwrap_or(usize::MAX).min(self.expected.len());
        self.expected.drain(..explained);
        if self.unexplained == 0 {
            self.unexplained_ms = now_ms;
        }
        self.unexplained = self.unexplained.saturating_add(rise - explained as u64).min(depth);
        // A look that regards all letters as old would hide those that arrived since then.
        self.is_at_old &= depth > 0 && self.unexplained == 0;
        self.hidden = self.hidden.min(depth);
        self.depth = Some(depth);
        self.unexplained > 0
    }

    /// Returns true if a look is due.
    pub fn is_look_due(&self, now_ms: u64) -> bool {
        let is_rested = self.looked_ms.is_none_or(|looked| looked.saturating_add(LOOK_PAUSE_MS) <= now_ms);
        let is_unexplained =
            self.unexplained > 0 && self.unexplained_ms.saturating_add(self.patience_ms) <= now_ms;
        is_rested && (self.is_at_old || is_unexplained)
    }

    /// Returns true if the next look is at letters that were there before the watch, which are not reported.
    pub fn is_at_old(&self) -> bool {
        self.is_at_old
    }

    /// Returns the letters that a look needs.
    pub fn wanted(&self) -> Wanted {
        let is_all = self.is_at_old || self.hidden > 0;
        Wanted::new(self.seen.clone(), if is_all { u64::MAX } else { self.unexplained })
    }

    /// Returns true if the letter of this message was seen.
    pub fn has_seen(&self, message: LetterId) -> bool {
        self.seen.has(message)
    }

    /// Records that a look failed: the next one is due after a pause.
    pub fn look_failed(&mut self, now_ms: u64) {
        self.looked_ms = Some(now_ms);
    }

    /// Records that the letters cannot be looked at. Returns true if there was a reason to look.
    pub fn skip_look(&mut self) -> bool {
        let had_reason = self.unexplained > 0;
        self.hidden = self.hidden.saturating_add(std::mem::take(&mut self.unexplained));
        self.is_at_old = false;
        had_reason
    }

    /// Records a look at `letters` letters, and the deaths of those that were not [seen](Self::has_seen). Returns the deaths
    /// that count, for counters.
    ///
    /// Until all letters from before the watch are known, the number of counted deaths is limited to the unexplained letters,
    /// and deaths with new fingerprints are first.
    pub fn looked(&mut self, letters: usize, deaths: Vec<Death>, now_ms: u64) -> Vec<Death> {
        self.looked_ms = Some(now_ms);
        let unexplained = std::mem::take(&mut self.unexplained);
        let mut unseen: Vec<Death> =
            deaths.into_iter().filter(|death| self.seen.add(death.message)).collect();
        if std::mem::take(&mut self.is_at_old) {
            self.count_hidden(letters);
            for death in unseen {
                self.reports.silence(Fingerprint::of_reason(&death.reason), now_ms);
            }
            return Vec::new();
        }
        let is_mixed = self.hidden > 0;
        if is_mixed || (unseen.len() as u64) < unexplained {
            self.count_hidden(letters);
        }
        if is_mixed {
            unseen.sort_by_key(|death| self.reports.knows(Fingerprint::of_reason(&death.reason)));
            unseen.truncate(usize::try_from(unexplained).unwrap_or(usize::MAX));
        }
        let is_sample = letters >= MAX_LOOK && self.hidden > 0;
        for death in &unseen {
            self.reports.add(death.clone(), now_ms, is_sample);
        }
        unseen
    }

    /// Records that a look has shown `letters` letters, which are all that it could receive.
    fn count_hidden(&mut self, letters: usize) {
        self.hidden = self.depth.unwrap_or(0).saturating_sub(letters as u64);
    }

    /// Returns the alerts that are due: for new fingerprints, and for known ones after their quiet period. Those with the most
    /// deaths are first. In a quiet period, [`MAX_ALERTS`] new and as many known fingerprints have their own alert. The others
    /// share one alert, at most every [`SUMMARY_PAUSE_MS`].
    pub fn alerts(&mut self, now_ms: u64) -> Vec<Alert> {
        let mut alerts = self.reports.due(self.quiet_ms, now_ms);
        for alert in &mut alerts {
            alert.dlq.clone_from(&self.name);
            alert.depth = self.depth;
        }
        alerts
    }

    /// Returns the times of the last alerts by fingerprint, for the next watch. Alerts that are not delivered are left out.
    pub fn known(&self, undelivered: &[Alert]) -> BTreeMap<Fingerprint, u64> {
        let mut known = self.reports.known();
        for alert in undelivered {
            known.remove(&alert.fingerprint);
            if !alert.is_new {
                known.insert(alert.fingerprint, 0);
            }
        }
        known
    }

    /// Returns the facts about the letters that the next watch needs, after a depth was recorded.
    pub fn handover(&self, undelivered: &[Alert]) -> Option<Handover> {
        let depth = self.depth?;
        let (seen, forgotten) = self.seen.last();
        let pending = self.reports.pending().chain(undelivered.iter().map(Pending::of)).collect();
        // Unexplained letters are also new to the next watch.
        let explained = depth.saturating_sub(self.unexplained);
        let hidden = self.hidden.saturating_add(forgotten).min(explained);
        Some(Handover { depth: explained, hidden, is_unread: self.is_at_old, seen, pending })
    }

    /// Takes over from another watch: its reports and the letters that it has seen are known.
    pub fn take_over(&mut self, known: BTreeMap<Fingerprint, u64>, handover: Option<Handover>, now_ms: u64) {
        if let Some(Handover { depth, hidden, is_unread, seen, pending }) = handover {
            // An earlier turn of this watch as the leader ended with a handover, which contains the counts.
            self.reports.clear_counts();
            (self.depth, self.hidden, self.is_at_old) = (Some(depth), hidden, is_unread);
            self.unexplained = 0;
            self.expected.clear();
            self.seen.take_over(&seen);
            self.reports.take_over(known, now_ms);
            self.reports.add_pending(pending, now_ms);
        } else {
            self.reports.take_over(known, now_ms);
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "watch_handover_tests.rs"]
mod handover_tests;
