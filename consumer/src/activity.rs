//! The activity of this worker, or the reason why it runs no job: for `/readyz?verbose`, and in the log after no job has run
//! for a while.

use std::time::{Duration, Instant};

use drumline_runtime::activity::{Cause, Explanation, QueueActivity, WorkerActivity};
use tokio::task::JoinHandle;
use tracing::info;

use crate::control::Control;
use crate::depth::Depths;
use crate::readiness::Readiness;

/// The maximum age of a depth that is used as an explanation. Depths are requested for clients and by scrapes.
const DEPTH_AGE: Duration = Duration::from_secs(30);

/// The time between two looks for the log. A cause that is seen only once is not logged, because most last only milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The shortest time between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The activity of this worker. Cloning returns another handle of the same state.
#[derive(Clone)]
pub(crate) struct Activity {
    readiness: Readiness,
    control: Control,
    depths: Depths,
}

impl Activity {
    pub(crate) fn new(readiness: Readiness, control: Control, depths: Depths) -> Self {
        Self { readiness, control, depths }
    }

    /// Returns the worker's activity, with the reasons that an operator or AWS gave if the client may read them. If no job
    /// runs, SQS is asked for the depths of the queues.
    pub(crate) async fn explain(&self, with_quotes: bool) -> Explanation {
        let explanation = self.explain_as_known(with_quotes);
        let is_by_depth =
            |cause| matches!(cause, Cause::Empty | Cause::Delayed | Cause::InFlight | Cause::Visible);
        if explanation.running > 0 || !explanation.causes.iter().any(|(_, cause)| is_by_depth(*cause)) {
            return explanation;
        }
        self.depths.refresh().await;
        self.explain_as_known(with_quotes)
    }

    fn explain_as_known(&self, with_quotes: bool) -> Explanation {
        let mut facts = self.readiness.facts();
        for queue in &mut facts.queues {
            let QueueActivity { queue: name, depth, paused_by, .. } = queue;
            *depth = self.depths.known(name, DEPTH_AGE);
            *paused_by = self.control.paused_by(name);
        }
        let facts: WorkerActivity = if with_quotes { facts } else { facts.without_quotes() };
        facts.explain(now())
    }

    /// Logs why no job runs, if a queue is hindered, until the returned watch is dropped.
    pub(crate) fn watch(self) -> ActivityWatch {
        ActivityWatch(tokio::spawn(async move {
            let mut log = ActivityLog::default();
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                log.look(now(), &self.explain_as_known(true));
            }
        }))
    }
}

/// A watch that looks until this is dropped.
pub(crate) struct ActivityWatch(JoinHandle<()>);

impl Drop for ActivityWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The queues that are hindered, with the causes; `None` if jobs run, or would run if there were messages. See
/// [`Explanation::is_hindered`].
type Hindrance = Option<Vec<(String, Cause)>>;

/// The last logged causes, and those of the last look.
#[derive(Default)]
struct ActivityLog {
    seen: Hindrance,
    logged: Hindrance,
    logged_at: Option<Instant>,
}

impl ActivityLog {
    /// Logs a change that has lasted since the last look. Returns true if it logged one.
    fn look(&mut self, now: Instant, explanation: &Explanation) -> bool {
        // A drain starts no more jobs, and no line may say that they can run again.
        if explanation.is_draining() {
            return false;
        }
        // Without the other queues, whose messages come and go.
        let hindering = || explanation.causes.iter().filter(|(_, cause)| cause.hinders()).cloned();
        let hindrance: Hindrance = explanation.is_hindered().then(|| hindering().collect());
        let has_lasted = self.seen == hindrance;
        let is_soon = self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < LOG_EVERY);
        let is_news = has_lasted && !is_soon && self.logged != hindrance;
        if is_news {
            if hindrance.is_some() && explanation.running > 0 {
                info!(why = explanation.sentence, "other messages wait");
            } else if hindrance.is_some() {
                info!(why = explanation.sentence, "nothing is running");
            } else {
                info!(state = explanation.sentence, "jobs can run again");
            }
            self.logged.clone_from(&hindrance);
            self.logged_at = Some(now);
        }
        self.seen = hindrance;
        is_news
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hindrance_that_lasts_is_logged_once_and_so_is_its_end() {
        let begun = now();
        let explain = |running, cause| Explanation {
            sentence: format!("{cause:?}"),
            running,
            causes: vec![("jobs".to_owned(), cause)],
        };
        let mut log = ActivityLog::default();
        // Each look, and the line that it logs, if any.
        let looks = [
            (0, 0, Cause::Empty, false),
            (5, 0, Cause::Paused, false),
            (10, 3, Cause::Running, false),
            (15, 0, Cause::Paused, false),
            (20, 0, Cause::Paused, true),
            (25, 0, Cause::Paused, false),
            (30, 0, Cause::Lock, false),
            (35, 0, Cause::Lock, false),
            (50, 0, Cause::Lock, true),
            (55, 1, Cause::Running, false),
            (85, 0, Cause::Empty, true),
            (120, 2, Cause::Running, false),
        ];
        for (at, running, cause, logs) in looks {
            let has_logged = log.look(begun + Duration::from_secs(at), &explain(running, cause));
            assert_eq!(has_logged, logs, "at {at} s");
        }
    }

    #[test]
    fn a_job_alone_is_logged_while_it_runs_and_a_drain_is_no_end() {
        let begun = now();
        let explain = |running, cause| Explanation {
            sentence: format!("{cause:?}"),
            running,
            causes: vec![("jobs".to_owned(), cause)],
        };
        let mut log = ActivityLog::default();
        let looks = [
            (0, 1, Cause::Alone, false),
            (5, 1, Cause::Alone, true),
            (40, 2, Cause::Draining, false),
            (45, 0, Cause::Draining, false),
            (80, 0, Cause::Draining, false),
        ];
        for (at, running, cause, logs) in looks {
            let has_logged = log.look(begun + Duration::from_secs(at), &explain(running, cause));
            assert_eq!(has_logged, logs, "at {at} s");
        }
    }

    #[test]
    fn a_queue_without_a_hindrance_changes_nothing() {
        let begun = now();
        let mut log = ActivityLog::default();
        for (at, of_other, logs) in [
            (0, Cause::Empty, false),
            (5, Cause::Empty, true),
            (40, Cause::InFlight, false),
            (45, Cause::InFlight, false),
            (80, Cause::Visible, false),
            (85, Cause::Visible, false),
        ] {
            let causes = vec![("jobs".to_owned(), Cause::Paused), ("mail".to_owned(), of_other)];
            let explanation = Explanation { sentence: String::new(), running: 0, causes };
            assert_eq!(log.look(begun + Duration::from_secs(at), &explanation), logs, "at {at} s");
        }
    }
}
