//! The metrics of watches over DLQs, and of the hook for dead jobs. The label `queue` is the name of the DLQ, and for the hook that of the
//! queue in which the job died.

use drumline_runtime::{TypeLabels, UNKNOWN_TYPE};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::{ByDeath, ByResult};

#[derive(Default)]
pub(super) struct DlqMetrics {
    letters: Family<ByDeath, Counter>,
    alerts: Family<ByResult, Counter>,
    hooks: Family<ByResult, Counter>,
    types: TypeLabels,
}

impl DlqMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "drumline_dlq_letters",
            "New dead letters that a watch has seen",
            self.letters.clone(),
        );
        registry.register("drumline_dlq_alerts", "Alerts of new dead letters by result", self.alerts.clone());
        registry.register(
            "drumline_dead_job_hooks",
            "Calls of the hook for dead jobs by result: failed after the last try",
            self.hooks.clone(),
        );
    }

    pub(super) fn letter(&self, dlq: &str, job_type: Option<&str>, class: Option<&str>) {
        let (queue, class) = (dlq.to_owned(), class.unwrap_or(UNKNOWN_TYPE).to_owned());
        let labels = ByDeath { queue, r#type: self.types.label(job_type).to_owned(), class };
        self.letters.get_or_create(&labels).inc();
    }

    pub(super) fn dead_job_hook(&self, queue: &str, succeeded: bool) {
        let labels = ByResult { queue: queue.to_owned(), result: if succeeded { "ok" } else { "failed" } };
        self.hooks.get_or_create(&labels).inc();
    }

    pub(super) fn alert(&self, dlq: &str, result: &'static str) {
        self.alerts.get_or_create(&ByResult { queue: dlq.to_owned(), result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use drumline_runtime::MAX_TYPES;

    #[test]
    fn letters_are_counted_by_type_and_class_with_bounded_types() {
        let (metrics, mut registry) = (DlqMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        metrics.letter("jobs-dlq", None, None);
        for n in 0..2 * MAX_TYPES {
            metrics.letter("jobs-dlq", Some(&format!("type{n}")), Some("rejected"));
        }
        metrics.alert("jobs-dlq", "ok");
        metrics.dead_job_hook("jobs", true);
        metrics.dead_job_hook("jobs", false);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        for line in [
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="unknown",class="unknown"} 1"#,
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="type0",class="rejected"} 1"#,
            r#"drumline_dlq_letters_total{queue="jobs-dlq",type="other",class="rejected"} 100"#,
            r#"drumline_dlq_alerts_total{queue="jobs-dlq",result="ok"} 1"#,
            r#"drumline_dead_job_hooks_total{queue="jobs",result="ok"} 1"#,
            r#"drumline_dead_job_hooks_total{queue="jobs",result="failed"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
