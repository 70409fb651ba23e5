//! Warnings about settings that are odd but usable.

use std::collections::BTreeSet;

use drumline::Router;
use tracing::warn;

use super::names::LIMITS;
use super::{QueueSettings, Settings, UnknownVariable};
use crate::diagnostics::Diagnostic;
use crate::limit_diagnostics::diagnose_limits;

impl Settings {
    /// Logs the variables that are no settings, and the job types of tables that `router` has no handler for.
    pub fn log_warnings(&self, router: &Router) {
        for UnknownVariable { name: variable, meant } in &self.unknown_variables {
            if let Some(meant) = meant {
                warn!(variable, meant, "misspelt variable ignored: did you mean {meant}?");
            } else {
                warn!(variable, "unknown variable ignored: no setting of this version");
            }
        }
        if self.dlq_watch.alert_to.is_some() && !self.dlq_watch.is_on {
            warn!("dlq_alert_to has no effect in a worker without dlq_watch = on");
        }
        if self.attempt_log && self.forward_to.is_some() {
            warn!(
                "attempt_log has no effect in forward mode: the lines that the application logs are not known to the worker"
            );
        }
        for Diagnostic { id, problem, reason, fix } in diagnose_limits(self) {
            warn!(rule = id, reason, mend = fix, "{problem}");
        }
        for (table, job_type) in self.types_without_handler(router) {
            warn!(table, r#type = job_type, "settings for a job type without a handler");
        }
    }

    /// Returns the tables of the settings with each job type in them that `router` has no handler for. In forward mode
    /// the application knows its types.
    fn types_without_handler(&self, router: &Router) -> BTreeSet<(&'static str, &str)> {
        let handled: BTreeSet<&str> = router.types().collect();
        if handled.is_empty() {
            return BTreeSet::new();
        }
        let queues = self.queues.iter().chain([&self.other_queues]);
        let limits = self.limits.types.keys().map(|name| (LIMITS, name.as_str()));
        queues
            .flat_map(types_of_tables)
            .chain(limits)
            .filter(|(_, job_type)| !handled.contains(job_type))
            .collect()
    }
}

fn types_of_tables(queue: &QueueSettings) -> impl Iterator<Item = (&'static str, &str)> {
    let timeout = queue.handler_timeout_by_type.keys().map(|name| ("handler_timeout_by_type", name));
    let attempts = queue.max_attempts_by_type.keys().map(|name| ("max_attempts_by_type", name));
    let retry = queue.retry_by_type.keys().map(|name| ("retry_by_type", name));
    let scope = queue.scope_by_type.keys().map(|name| ("scope_by_type", name));
    let require = queue.require_by_type.keys().map(|name| ("require_by_type", name));
    let tables = timeout.chain(attempts).chain(retry).chain(scope).chain(require);
    tables.map(|(table, name)| (table, name.as_str()))
}
