//! The metrics of an outbox and of its relay, in their own registry, which only relaying processes show.

use std::sync::atomic::AtomicU64;

use drumline_producer::outbox::{FailureClass, ParkedClass, RelayObserver};
use drumline_store::outbox::Lag;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::ByQueue;

/// The queue label of a job without a queue.
const NO_QUEUE: &str = "unknown";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByFailure {
    queue: String,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByRowState {
    state: &'static str,
}

/// The families of an outbox.
pub(crate) struct OutboxMetrics {
    registry: Registry,
    /// Without a label, so that it can be left out.
    lag: Family<[(&'static str, &'static str); 0], Gauge<f64, AtomicU64>>,
    rows: Family<ByRowState, Gauge>,
    sent: Family<ByQueue, Counter>,
    failures: Family<ByFailure, Counter>,
    parked: Family<ByFailure, Counter>,
    unanswered: Counter,
}

impl OutboxMetrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            lag: Family::default(),
            rows: Family::default(),
            sent: Family::default(),
            failures: Family::default(),
            parked: Family::default(),
            unanswered: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        // The encoder adds `_total` to counters.
        let r = &mut self.registry;
        r.register(
            "drumline_outbox_lag_seconds",
            "For how long the oldest job that is due waits in the outbox",
            self.lag.clone(),
        );
        r.register("drumline_outbox_rows", "Jobs in the outbox, by state", self.rows.clone());
        r.register("drumline_outbox_sent", "Jobs of the outbox that SQS has confirmed", self.sent.clone());
        r.register(
            "drumline_outbox_failures",
            "Jobs of the outbox that were not sent, and will be tried again, by reason",
            self.failures.clone(),
        );
        r.register(
            "drumline_outbox_parked",
            "Jobs of the outbox that cannot be sent and wait for an operator, by reason",
            self.parked.clone(),
        );
        r.register(
            "drumline_outbox_unanswered",
            "Requests of the relay that the outbox did not answer",
            self.unanswered.clone(),
        );
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows the lag of the relays.
    pub(crate) fn set_lag(&self, lag: &Lag) {
        self.lag.get_or_create(&[]).set(lag.oldest.as_secs_f64());
        for (state, count) in [("due", lag.due), ("later", lag.later), ("parked", lag.parked)] {
            self.rows.get_or_create(&ByRowState { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Removes the lag of the relays, because the outbox does not answer: an old value would hide that.
    pub(crate) fn lag_unknown(&self) {
        self.lag.clear();
        self.rows.clear();
        self.unanswered.inc();
    }
}

impl RelayObserver for OutboxMetrics {
    fn sent(&self, queue: &str, jobs: u64) {
        self.sent.get_or_create(&ByQueue { queue: queue.to_owned() }).inc_by(jobs);
    }

    fn failed(&self, queue: Option<&str>, class: FailureClass, jobs: u64) {
        let queue = queue.unwrap_or(NO_QUEUE).to_owned();
        self.failures.get_or_create(&ByFailure { queue, class: class.label() }).inc_by(jobs);
    }

    fn parked(&self, queue: Option<&str>, class: ParkedClass) {
        let queue = queue.unwrap_or(NO_QUEUE).to_owned();
        self.parked.get_or_create(&ByFailure { queue, class: class.label() }).inc();
    }

    fn outbox_unanswered(&self) {
        self.unanswered.inc();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Metrics;

    #[test]
    fn an_outbox_is_shown_once_the_process_relays() {
        let metrics = Metrics::new();
        assert!(!metrics.encode().contains("drumline_outbox"), "a worker without an outbox has none of them");
        let relay = metrics.relay();
        relay.sent("jobs", 3);
        relay.sent("jobs", 4);
        relay.failed(None, FailureClass::InDoubt, 2);
        relay.parked(Some("jobs"), ParkedClass::Refused);
        relay.outbox_unanswered();
        metrics.outbox().set_lag(&Lag::new(5, Duration::from_millis(1_500), 6, 7));
        let text = metrics.encode();
        for line in [
            r#"drumline_outbox_sent_total{queue="jobs"} 7"#,
            r#"drumline_outbox_failures_total{queue="unknown",class="in_doubt"} 2"#,
            r#"drumline_outbox_parked_total{queue="jobs",class="refused"} 1"#,
            "drumline_outbox_unanswered_total 1",
            "drumline_outbox_lag_seconds{} 1.5",
            r#"drumline_outbox_rows{state="due"} 5"#,
            r#"drumline_outbox_rows{state="later"} 6"#,
            r#"drumline_outbox_rows{state="parked"} 7"#,
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in\n{text}");
        }
        metrics.outbox().lag_unknown();
        let unknown = metrics.encode();
        assert!(unknown.contains("\ndrumline_outbox_unanswered_total 2\n"), "{unknown}");
        for name in ["\ndrumline_outbox_lag_seconds", "\ndrumline_outbox_rows{"] {
            assert!(!unknown.contains(name), "{name} in\n{unknown}");
        }
        assert!(
            text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1,
            "one text of two registries"
        );
    }
}
