//! What is counted of a queue. Each host shows it in its own way, under the same names.

use std::time::Duration;

use drumline::{DuplicateCause, PauseReason};

/// Counts for one queue. Called from several threads, so implementations return at once.
///
/// Every method does nothing unless a host takes it up. The metric that each one feeds is named.
pub trait QueueMetrics: Send + Sync + 'static {
    /// A handler begins: `drumline_jobs_running`, and `drumline_pickup_delay_seconds` where it is known when the message
    /// was sent.
    fn started(&self, _job_type: &str, _pickup: Option<Duration>) {}
    /// A handler has ended: `drumline_jobs_running`.
    fn ended(&self, _job_type: &str) {}
    /// A run is over: `drumline_job_duration_seconds`, and `drumline_failures_total` where it failed.
    fn ran(&self, _job_type: Option<&str>, _took: Duration, _failure_class: Option<&'static str>) {}
    /// A delivery has its outcome: `drumline_jobs_total`.
    fn outcome(&self, _job_type: Option<&str>, _outcome: &'static str) {}
    /// A message was deleted without a run, since its job was done before: `drumline_deduplicated_total`.
    fn deduplicated(&self, _job_type: Option<&str>, _cause: DuplicateCause) {}
    /// Leases were renewed, or not: `drumline_lease_renewals_total`.
    fn renewals(&self, _count: usize, _renewed: bool) {}
    /// A lease ended under a delivery: `drumline_leases_lost_total`.
    fn lease_lost(&self) {}
    /// A receive brought nothing: `drumline_empty_receives_total`.
    fn empty_receive(&self) {}
    /// Deliveries in hand now: `drumline_deliveries_in_hand`.
    fn in_hand(&self, _count: usize) {}
    /// A pause of the queue begins or ends: `drumline_paused`.
    fn paused(&self, _reason: PauseReason, _paused: bool) {}
    /// A request to SQS was answered: `drumline_sqs_requests_total`. The result is `ok` or the kind of the error.
    fn request(&self, _action: &'static str, _result: &'static str) {}
}
