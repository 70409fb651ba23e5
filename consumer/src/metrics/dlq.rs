//! The metrics of watches over DLQs. Their label `queue` is the name of the DLQ.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::{ByDeath, ByResult};
use super::{MAX_TYPES, Metrics, UNKNOWN};

#[derive(Default)]
pub(super) struct DlqMetrics {
    letters: Family<ByDeath, Counter>,
    alerts: Family<ByResult, Counter>,
    /// The types that have a label of their own.
    types: Mutex<HashSet<String>>,
}

impl DlqMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "drumline_dlq_letters",
            "New dead letters that a watch has seen",
            self.letters.clone(),
        );
        registry.register("drumline_dlq_alerts", "Alerts of new dead letters by result", self.alerts.clone());
    }

    fn type_label(&self, job_type: Option<&str>) -> String {
        let Some(job_type) = job_type else { return UNKNOWN.to_owned() };
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let has_label =
            types.contains(job_type) || (types.len() < MAX_TYPES && types.insert(job_type.to_owned()));
        if has_label { job_type.to_owned() } else { "other".to_owned() }
    }
}

impl Metrics {
    /// Counts a letter that a watch has not seen before.
    pub(crate) fn dead_letter(&self, dlq: &str, job_type: Option<&str>, class: Option<&str>) {
        let (queue, class) = (dlq.to_owned(), class.unwrap_or(UNKNOWN).to_owned());
        let labels = ByDeath { queue, r#type: self.0.dlq.type_label(job_type), class };
        self.0.dlq.letters.get_or_create(&labels).inc();
    }

    /// Counts a try to deliver an alert.
    pub(crate) fn alert(&self, dlq: &str, result: &'static str) {
        self.0.dlq.alerts.get_or_create(&ByResult { queue: dlq.to_owned(), result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_by_type_and_class_with_bounded_types() {
        let metrics = Metrics::new();
        metrics.dead_letter("jobs-dlq", None, None);
        for n in 0..2 * MAX_TYPES {
            metrics.dead_letter("jobs-dlq", Some(&format!("type{n}")), Some("rejected"));
        }
        metrics.alert("jobs-dlq", "ok");
        let text = metrics.encode();
        for line in [
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="unknown",class="unknown"} 1"#,
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="type0",class="rejected"} 1"#,
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="other",class="rejected"} 100"#,
            r#"drumline_dlq_alerts_total{queue="jobs-dlq",result="ok"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
