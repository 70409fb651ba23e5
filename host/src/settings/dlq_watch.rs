//! The settings of the watch over DLQs.

use std::time::Duration;

use super::reader::Reader;
use super::values;
use crate::alert_target::AlertTarget;

/// How a worker watches the DLQs of its queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlqWatchSettings {
    /// Whether it does.
    pub is_on: bool,
    /// How often the depth of a DLQ is asked for.
    pub every: Duration,
    /// For how long a reason that was reported is not reported again.
    pub quiet: Duration,
    /// The target of alerts.
    pub alert_to: Option<AlertTarget>,
    /// The text of the template of alerts.
    pub alert_template: Option<String>,
}

impl Reader<'_> {
    pub(super) fn dlq_watch(&mut self) -> Option<DlqWatchSettings> {
        let is_on = self.get("dlq_watch", None, values::on_or_off);
        let every = self.get("dlq_watch_every", None, values::watch_interval);
        let quiet = self.get("dlq_alert_quiet", None, values::positive_duration);
        let alert_to = self.get("dlq_alert_to", None, AlertTarget::parse);
        let alert_template = self.get("dlq_alert_template", None, values::file_text);
        Some(DlqWatchSettings { is_on: is_on?, every: every?, quiet: quiet?, alert_to, alert_template })
    }
}
