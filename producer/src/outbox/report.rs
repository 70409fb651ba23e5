//! The log, the observer and the summary of a relay.

use std::sync::Arc;

use tracing::{info, warn};

use super::notice::Notice;
use super::observer::{FailureClass, RelayObserver, RelaySummary};

/// Logs and counts the events of a relay.
pub(super) struct Report {
    observer: Arc<dyn RelayObserver>,
    pub(super) summary: RelaySummary,
}

impl Report {
    pub(super) fn new(observer: Arc<dyn RelayObserver>) -> Self {
        Self { observer, summary: RelaySummary::default() }
    }

    pub(super) fn events(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            self.event(notice);
        }
    }

    fn event(&mut self, notice: Notice) {
        match notice {
            Notice::Sent { queue, jobs } => {
                self.summary.sent += jobs;
                self.observer.sent(&queue, jobs);
            }
            Notice::PutBack { queue, class, jobs } => {
                self.summary.put_back += jobs;
                self.observer.failed(queue.as_deref(), class, jobs);
            }
            Notice::Parked { queue, class, job_id, job_type, reason } => {
                self.summary.parked += 1;
                self.observer.parked(queue.as_deref(), class);
                let class = class.label();
                warn!(queue, job_id, job_type, class, reason, "outbox job parked");
            }
            Notice::QueueFails { queue, class, reason, pause } => {
                warn!(queue, class = class.label(), reason, ?pause, "queue takes no outbox jobs");
            }
            Notice::EntriesFail { queue, class, reason } => {
                warn!(queue, class = class.label(), reason, "outbox job not sent: put back");
            }
            Notice::QueueRecovers { queue } => info!(queue, "queue takes outbox jobs again"),
        }
    }

    /// Reports that the outbox has refused conclusions, because another relay holds the leases by now: the jobs may be sent
    /// twice.
    pub(super) fn leases_lost(&self, jobs: usize) {
        if jobs > 0 {
            warn!(jobs, "outbox lease lost");
            self.observer.failed(None, FailureClass::LeaseEnded, jobs as u64);
        }
    }

    /// Reports that the outbox has not performed a call.
    pub(super) fn outbox_failed(&self) {
        self.observer.outbox_unanswered();
    }
}
