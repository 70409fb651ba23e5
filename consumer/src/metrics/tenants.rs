//! The metrics of the tenants of a standard queue: its message groups.

use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::TenantLabels;
use tokio::time::Instant;

use super::families::Families;
use super::labels::ByTenant;

/// The metrics of one queue's tenants.
pub(super) struct TenantMetrics {
    queue: String,
    all: Arc<Families>,
    labels: TenantLabels,
}

impl TenantMetrics {
    pub(super) fn new(all: &Arc<Families>, queue: &str) -> Self {
        Self { queue: queue.to_owned(), all: Arc::clone(all), labels: TenantLabels::default() }
    }

    /// Counts the start of a tenant's job. The series of a tenant that has lost its label end, so that the number of labels
    /// stays limited.
    pub(super) fn started(&self, tenant: &str) {
        let start = self.labels.started(tenant, Instant::now().into_std());
        if let Some(ended) = &start.ended {
            self.all.tenant_jobs.remove(&self.by(ended));
            self.all.tenant_dwells.remove(&self.by(ended));
        }
        self.all.tenant_jobs.get_or_create(&self.by(start.label())).inc();
    }

    /// Records a done job of a tenant, with the time since its message was sent.
    pub(super) fn done(&self, tenant: &str, dwell: Duration) {
        let labels = self.by(self.labels.label(tenant));
        self.all.tenant_dwells.get_or_create(&labels).observe(dwell.as_secs_f64());
    }

    fn by(&self, tenant: &str) -> ByTenant {
        ByTenant { queue: self.queue.clone(), tenant: tenant.to_owned() }
    }
}
