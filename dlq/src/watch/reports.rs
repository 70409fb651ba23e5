//! The fingerprints that a watch knows, and the times of their reports.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::death::Death;
use super::handover::Pending;
use crate::alert::{Alert, Others};
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::mask::mask;

/// The maximum number of new fingerprints with their own alert in a quiet period, and of known ones.
pub const MAX_ALERTS: usize = 10;

/// The shortest time between two alerts that many fingerprints share.
pub const SUMMARY_PAUSE_MS: u64 = 10 * 60_000;

/// The maximum number of known fingerprints. Beyond it, the reported fingerprint with the oldest death is forgotten.
const MAX_KNOWN: usize = 500;

/// The fingerprints of one DLQ.
#[derive(Debug, Default)]
pub(super) struct Reports {
    known: HashMap<Fingerprint, Known>,
    /// The number of deaths for whose fingerprints there was no space.
    unlisted: u64,
    /// The times of the alerts in the last quiet period: of known fingerprints, and of new ones.
    recent: [VecDeque<u64>; 2],
    summary_ms: Option<u64>,
}

/// The history of a fingerprint.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The first death since the last alert.
    first: Option<First>,
    count: u64,
    /// True if there may be more deaths.
    is_sample: bool,
    alerted_ms: Option<u64>,
    seen_ms: u64,
}

#[derive(Debug, Clone)]
struct First {
    at_ms: u64,
    reason: String,
    origin: Option<String>,
    job_type: Option<String>,
    class: Option<String>,
}

impl Reports {
    /// Counts a death.
    pub(super) fn add(&mut self, death: Death, now_ms: u64, is_sample: bool) {
        let Death { origin, job_type, class, reason, .. } = death;
        let reason = mask(&reason);
        self.count(
            Pending { reason, origin, job_type, class, count: 1, is_sample, first_at: now_ms },
            now_ms,
        );
    }

    pub(super) fn add_pending(&mut self, pending: Vec<Pending>, now_ms: u64) {
        for pending in pending {
            self.count(pending, now_ms);
        }
    }

    fn count(&mut self, pending: Pending, now_ms: u64) {
        let Pending { reason, origin, job_type, class, count, is_sample, first_at } = pending;
        let Some(known) = self.entry(fingerprint(&reason), now_ms) else {
            self.unlisted = self.unlisted.saturating_add(count);
            return;
        };
        known.count = known.count.saturating_add(count);
        known.is_sample |= is_sample;
        known.seen_ms = now_ms;
        known.first.get_or_insert(First { at_ms: first_at, reason, origin, job_type, class });
    }

    pub(super) fn knows(&self, fingerprint: Fingerprint) -> bool {
        self.known.contains_key(&fingerprint)
    }

    /// Regards a fingerprint as reported, unless it is known.
    pub(super) fn silence(&mut self, fingerprint: Fingerprint, now_ms: u64) {
        if !self.knows(fingerprint)
            && let Some(known) = self.entry(fingerprint, now_ms)
        {
            known.alerted_ms = Some(now_ms);
        }
    }

    /// Returns the alerts that are due, without the name and the depth of the DLQ.
    pub(super) fn due(&mut self, quiet_ms: u64, now_ms: u64) -> Vec<Alert> {
        let is_due = |known: &Known| known.alerted_ms.is_none_or(|at| at.saturating_add(quiet_ms) <= now_ms);
        let mut due: Vec<(Fingerprint, u64, bool)> = self
            .known
            .iter()
            .filter(|(_, known)| known.count > 0 && is_due(known))
            .map(|(fingerprint, known)| (*fingerprint, known.count, known.alerted_ms.is_none()))
            .collect();
        due.sort_by_key(|(fingerprint, count, _)| (std::cmp::Reverse(*count), *fingerprint));
        for recent in &mut self.recent {
            recent.retain(|at| at.saturating_add(quiet_ms) > now_ms);
        }
        let (mut alerts, mut rest) = (Vec::new(), Vec::new());
        for (fingerprint, _, is_new) in due {
            let recent = &mut self.recent[usize::from(is_new)];
            if recent.len() < MAX_ALERTS {
                recent.push_back(now_ms);
                alerts.extend(self.alert(fingerprint, now_ms));
            } else {
                rest.push(fingerprint);
            }
        }
        let pause_ms = SUMMARY_PAUSE_MS.min(quiet_ms);
        if !rest.is_empty() && self.summary_ms.is_none_or(|at| at.saturating_add(pause_ms) <= now_ms) {
            self.summary_ms = Some(now_ms);
            alerts.extend(self.summary(rest, now_ms));
        }
        alerts
    }

    /// Returns one alert for all these fingerprints: the facts of the first, with the numbers of the others.
    fn summary(&mut self, fingerprints: Vec<Fingerprint>, now_ms: u64) -> Option<Alert> {
        let all: Vec<Alert> =
            fingerprints.into_iter().filter_map(|fingerprint| self.alert(fingerprint, now_ms)).collect();
        let mut all = all.into_iter();
        let first = all.next()?;
        let unlisted = std::mem::take(&mut self.unlisted);
        let mut others = Others { fingerprints: all.len() as u64, letters: unlisted };
        others.letters = others.letters.saturating_add(all.map(|alert| alert.count).sum());
        Some(Alert { others, ..first })
    }

    fn alert(&mut self, fingerprint: Fingerprint, now_ms: u64) -> Option<Alert> {
        let known = self.known.get_mut(&fingerprint)?;
        let First { at_ms, reason, origin, job_type, class } = known.first.take()?;
        let alert = Alert {
            dlq: String::new(),
            origin,
            job_type,
            class,
            fingerprint,
            reason,
            count: known.count,
            is_sample: known.is_sample,
            is_new: known.alerted_ms.is_none(),
            first_at_ms: at_ms,
            depth: None,
            others: Others::default(),
        };
        (known.count, known.is_sample, known.alerted_ms) = (0, false, Some(now_ms));
        Some(alert)
    }

    /// Returns the times of the last alerts.
    pub(super) fn known(&self) -> BTreeMap<Fingerprint, u64> {
        self.known.iter().filter_map(|(fingerprint, known)| Some((*fingerprint, known.alerted_ms?))).collect()
    }

    /// Returns the deaths that are not reported yet.
    pub(super) fn pending(&self) -> impl Iterator<Item = Pending> {
        self.known.values().filter_map(|Known { first, count, is_sample, .. }| {
            let First { at_ms, reason, origin, job_type, class } = first.clone()?;
            let (count, is_sample) = (*count, *is_sample);
            Some(Pending { reason, origin, job_type, class, count, is_sample, first_at: at_ms })
        })
    }

    /// Adds the times of another watch's alerts.
    pub(super) fn take_over(&mut self, known: BTreeMap<Fingerprint, u64>, now_ms: u64) {
        for (fingerprint, alerted_ms) in known {
            if let Some(entry) = self.entry(fingerprint, alerted_ms.min(now_ms)) {
                entry.alerted_ms = entry.alerted_ms.max(Some(alerted_ms));
            }
        }
    }

    /// Forgets the deaths that are not reported yet.
    pub(super) fn clear_counts(&mut self) {
        for known in self.known.values_mut() {
            (known.first, known.count, known.is_sample) = (None, 0, false);
        }
        self.unlisted = 0;
    }

    /// Returns the entry of a fingerprint, if there is space: unreported deaths are not forgotten for it.
    fn entry(&mut self, fingerprint: Fingerprint, now_ms: u64) -> Option<&mut Known> {
        if self.known.len() >= MAX_KNOWN && !self.knows(fingerprint) {
            let reported = self.known.iter().filter(|(_, known)| known.count == 0);
            let oldest = reported.min_by_key(|(_, known)| known.seen_ms).map(|(oldest, _)| *oldest)?;
            self.known.remove(&oldest);
        }
        Some(self.known.entry(fingerprint).or_insert_with(|| Known { seen_ms: now_ms, ..Known::default() }))
    }
}
