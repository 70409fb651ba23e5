//! The watch over a DLQ: depths and failures in, looks and alerts out.
//!
//! Looking is a receive, so it is the last resort: a rise of the depth that the workers' own failures explain needs none. A look is
//! due at most once a minute, and while nothing dies there is none. Invariants: each letter counts once, as far as its message id is
//! known; a fingerprint is reported at once when it is new, and afterwards at most once in a quiet period, with all that came
//! meanwhile; all memory is bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::alert::Alert;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::letter::Letter;
use crate::letter_id::LetterId;
use crate::mask::mask;
use crate::origin::claimed_origin;

/// The most letters that a look receives: a sample that shows the causes of a burst.
pub const MAX_LOOK: usize = 50;

/// The shortest time between two looks.
pub const LOOK_PAUSE_MS: u64 = 60_000;

/// The most alerts at a time. Further fingerprints wait for the next time.
pub const MAX_ALERTS: usize = 10;

/// The most fingerprints that are known. Beyond them, the one that was seen longest ago is forgotten.
const MAX_KNOWN: usize = 500;

/// The most message ids that are remembered.
const MAX_SEEN: usize = 20_000;

/// How long a failure is expected to show in the depth of the DLQ: SQS moves its message after the next receive, and reports depths
/// with a delay of a minute.
const EXPECTED_MS: u64 = 10 * 60_000;

/// A job that died: a letter, or the failure after which a worker expects one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The id of its message.
    pub message: LetterId,
    /// The name of the queue in which it died.
    pub origin: Option<String>,
    /// The type of its job.
    pub job_type: Option<String>,
    /// The class of its failure.
    pub class: Option<String>,
    /// The reason as it was written.
    pub reason: String,
}

impl Death {
    /// Returns what a letter says about its death.
    pub fn of(letter: &Letter) -> Self {
        let cause = letter.why();
        let name = |origin: &str| origin.rsplit(':').next().unwrap_or(origin).to_owned();
        Self {
            message: LetterId::of(letter.original_id()),
            origin: claimed_origin(letter).map(name),
            job_type: letter.job_type().map(str::to_owned),
            class: cause.class,
            reason: cause.reason,
        }
    }
}

/// What a fingerprint has been about.
#[derive(Debug, Clone)]
struct Known {
    /// The first death since the last alert.
    first: Option<First>,
    count: u64,
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

/// The watch over one DLQ. Times are in milliseconds since the Unix epoch.
#[derive(Debug)]
pub struct Watch {
    name: String,
    quiet_ms: u64,
    /// Whether letters that are in the DLQ when the watch begins are reported.
    reports_old: bool,
    depth: Option<u64>,
    /// The times of failures that the depth does not show yet.
    expected: VecDeque<u64>,
    unexplained: u64,
    /// Since when there are unexplained letters.
    unexplained_ms: u64,
    /// For how long other workers may explain them before a look.
    patience_ms: u64,
    looked_ms: Option<u64>,
    /// Whether the next look is at letters that were there at the beginning.
    is_at_old: bool,
    known: HashMap<Fingerprint, Known>,
    seen: Seen,
}

impl Watch {
    /// A watch over the DLQ of this name, which reports a known fingerprint once in `quiet_ms`. `reports_old` is for letters that are
    /// there at the beginning.
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
            known: HashMap::new(),
            seen: Seen::default(),
        }
    }

    /// Sets how long a known fingerprint is not reported again, in milliseconds.
    #[must_use]
    pub fn with_quiet(self, quiet_ms: u64) -> Self {
        Self { quiet_ms, ..self }
    }

    /// Sets for how long other workers may explain a rise of the depth before a look, in milliseconds.
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

    /// Records the number of letters. Returns true if there are letters that nothing explains.
    pub fn depth(&mut self, depth: u64, now_ms: u64) -> bool {
        while self.expected.front().is_some_and(|at| at.saturating_add(EXPECTED_MS) < now_ms) {
            self.expected.pop_front();
        }
        if self.depth.is_none() {
            self.is_at_old = depth > 0;
        }
        let rise = depth.saturating_sub(self.depth.unwrap_or(0));
        let explained = usize::try_from(rise).unwrap_or(usize::MAX).min(self.expected.len());
        self.expected.drain(..explained);
        if self.unexplained == 0 {
            self.unexplained_ms = now_ms;
        }
        self.unexplained = self.unexplained.saturating_add(rise - explained as u64).min(depth);
        self.depth = Some(depth);
        self.unexplained > 0
    }

    /// Returns true if a look is due.
    pub fn is_look_due(&self, now_ms: u64) -> bool {
        let is_rested = self.looked_ms.is_none_or(|looked| looked.saturating_add(LOOK_PAUSE_MS) <= now_ms);
        self.unexplained > 0 && is_rested && self.unexplained_ms.saturating_add(self.patience_ms) <= now_ms
    }

    /// Records a look at some letters. Returns those that were not known, for counters.
    pub fn looked(&mut self, deaths: Vec<Death>, now_ms: u64) -> Vec<Death> {
        self.looked_ms = Some(now_ms);
        self.unexplained = 0;
        let is_silent = std::mem::take(&mut self.is_at_old) && !self.reports_old;
        let mut new = Vec::new();
        for death in deaths {
            let fingerprint = Fingerprint::of_reason(&death.reason);
            let is_known = self.known.contains_key(&fingerprint);
            if !self.add(death.clone(), now_ms) {
                continue;
            }
            new.push(death);
            if is_silent && !is_known {
                // It was there before the watch: only further letters are news.
                self.alerted(fingerprint, now_ms);
            }
        }
        new
    }

    /// Returns the alerts that are due: of new fingerprints, and of known ones after their quiet period. Those of most deaths come first,
    /// [`MAX_ALERTS`] at most.
    pub fn alerts(&mut self, now_ms: u64) -> Vec<Alert> {
        let is_due = |known: &Known| {
            known.alerted_ms.is_none_or(|alerted| alerted.saturating_add(self.quiet_ms) <= now_ms)
        };
        let mut due: Vec<(Fingerprint, u64)> = self
            .known
            .iter()
            .filter(|(_, known)| known.count > 0 && is_due(known))
            .map(|(fingerprint, known)| (*fingerprint, known.count))
            .collect();
        due.sort_by_key(|(fingerprint, count)| (std::cmp::Reverse(*count), *fingerprint));
        due.truncate(MAX_ALERTS);
        due.into_iter().filter_map(|(fingerprint, _)| self.alert(fingerprint, now_ms)).collect()
    }

    fn alert(&mut self, fingerprint: Fingerprint, now_ms: u64) -> Option<Alert> {
        let known = self.known.get_mut(&fingerprint)?;
        let First { at_ms, reason, origin, job_type, class } = known.first.take()?;
        let alert = Alert {
            dlq: self.name.clone(),
            origin,
            job_type,
            class,
            fingerprint,
            reason,
            count: known.count,
            is_new: known.alerted_ms.is_none(),
            first_at_ms: at_ms,
            depth: self.depth,
        };
        self.alerted(fingerprint, now_ms);
        Some(alert)
    }

    fn alerted(&mut self, fingerprint: Fingerprint, now_ms: u64) {
        if let Some(known) = self.known.get_mut(&fingerprint) {
            (known.count, known.first, known.alerted_ms) = (0, None, Some(now_ms));
        }
    }

    /// Returns the times of the last alerts by fingerprint, for a watch that takes over.
    pub fn known(&self) -> BTreeMap<Fingerprint, u64> {
        self.known.iter().filter_map(|(fingerprint, known)| Some((*fingerprint, known.alerted_ms?))).collect()
    }

    /// Takes over from another watch: what that one reported is known.
    pub fn take_over(&mut self, known: BTreeMap<Fingerprint, u64>) {
        for (fingerprint, alerted_ms) in known {
            let entry = self.entry(fingerprint, alerted_ms);
            entry.alerted_ms = entry.alerted_ms.max(Some(alerted_ms));
        }
    }

    /// Counts a death unless its message is known. Returns true if it is new.
    fn add(&mut self, death: Death, now_ms: u64) -> bool {
        if !self.seen.add(death.message) {
            return false;
        }
        let reason = mask(&death.reason);
        let known = self.entry(fingerprint(&reason), now_ms);
        known.count += 1;
        known.seen_ms = now_ms;
        let Death { origin, job_type, class, .. } = death;
        known.first.get_or_insert(First { at_ms: now_ms, reason, origin, job_type, class });
        true
    }

    fn entry(&mut self, fingerprint: Fingerprint, now_ms: u64) -> &mut Known {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&fingerprint) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.seen_ms).map(|(oldest, _)| *oldest);
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        self.known.entry(fingerprint).or_insert(Known {
            first: None,
            count: 0,
            alerted_ms: None,
            seen_ms: now_ms,
        })
    }
}

/// The last message ids.
#[derive(Debug, Default)]
struct Seen {
    ids: std::collections::HashSet<LetterId>,
    order: VecDeque<LetterId>,
}

impl Seen {
    /// Returns true if the id was not known.
    fn add(&mut self, id: LetterId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
