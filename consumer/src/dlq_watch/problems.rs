//! Problems of a watch: logged when they begin, not at each turn.

use std::collections::HashSet;

use tracing::{error, warn};

/// A problem that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Problem {
    /// The depth is not known.
    Depth,
    /// Letters cannot be received.
    Look,
    /// Histories are not known.
    Histories,
    /// A redrive policy of the DLQ forbids looks.
    RedrivePolicy,
    /// The hook for dead jobs fails.
    DeadJobHook,
    /// Alerts are not accepted.
    Delivery,
}

/// Receives each problem as a text.
type OnProblem = Box<dyn FnMut(&str) + Send>;

/// The problems of one watch.
pub(super) struct Problems {
    dlq: String,
    lasting: HashSet<Problem>,
    pub(super) on_problem: Option<OnProblem>,
}

impl Problems {
    pub(super) fn new(dlq: String) -> Self {
        Self { dlq, lasting: HashSet::new(), on_problem: None }
    }

    /// Logs a problem, unless it lasts already.
    pub(super) fn begin(&mut self, problem: Problem, error: &str) {
        if !self.lasting.insert(problem) {
            return;
        }
        let dlq = &*self.dlq;
        let text = match problem {
            Problem::Depth => "DLQ depth unknown",
            Problem::Look => "DLQ not readable",
            Problem::Histories => "histories of dead letters unknown",
            Problem::RedrivePolicy => "dead letters not looked at",
            Problem::DeadJobHook => "dead job hook failed for dead letters",
            Problem::Delivery => "alert not delivered",
        };
        warn!(dlq, error, "{text}");
        self.notify(&format!("{text}: {error}"));
    }

    /// Ends a problem: the next one is logged again.
    pub(super) fn end(&mut self, problem: Problem) {
        self.lasting.remove(&problem);
    }

    /// Logs an alert that will never be delivered.
    pub(super) fn lose(&mut self, fingerprint: &str, reason: &str) {
        error!(dlq = self.dlq, fingerprint, error = reason, "alert dropped");
        self.notify(&format!("alert {fingerprint} dropped: {reason}"));
    }

    /// Logs letters for which the hook for dead jobs is no longer called.
    pub(super) fn leave_uncalled(&mut self, letters: usize, reason: &str) {
        error!(dlq = self.dlq, letters, error = reason, "dead job hook given up for dead letters");
        let s = if letters == 1 { "" } else { "s" };
        self.notify(&format!("dead job hook given up for {letters} dead letter{s}: {reason}"));
    }

    fn notify(&mut self, text: &str) {
        if let Some(on_problem) = &mut self.on_problem {
            on_problem(text);
        }
    }
}
