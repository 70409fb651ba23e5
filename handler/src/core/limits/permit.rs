//! The permit of a run to start.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::job_class::JobClass;
use super::shared::Shared;
use super::type_state::Probes;
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// The permit of a run to start. Its part of the limits is free again when it is dropped.
#[derive(Clone)]
pub struct Permit(Arc<Granted>);

struct Granted {
    limits: Arc<Shared>,
    class: JobClass,
    at: Instant,
    /// It has one of the cores. Its type may have other rules when it ends.
    has_core: bool,
    probes: Probes,
}

impl Permit {
    pub(super) fn new(
        limits: Arc<Shared>,
        class: JobClass,
        at: Instant,
        has_core: bool,
        probes: Probes,
    ) -> Self {
        Self(Arc::new(Granted { limits, class, at, has_core, probes }))
    }

    /// The class of the job that may start.
    pub fn class(&self) -> &JobClass {
        &self.0.class
    }

    /// Takes the ending of the run: failures may close its type, and a probe may open it.
    pub fn ended(&self, now: Instant, ending: &Ending, jitter: Jitter) {
        if ending.ran() {
            self.0.limits.ran(&self.0.class.job_type, now.saturating_duration_since(self.0.at));
        }
        self.0.limits.ended(now, &self.0.class.job_type, ending, self.0.probes, jitter);
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.limits.release(&self.class, self.has_core, self.probes);
    }
}

impl PartialEq for Permit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Permit {}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.0.class).finish()
    }
}
