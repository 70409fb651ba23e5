//! The settings of the watch over DLQs.

use std::fmt;
use std::time::Duration;

use super::reader::Reader;
use super::values;
use crate::alert_target::AlertTarget;

/// The settings of the watch over the DLQs of a worker's queues.
#[derive(Clone, PartialEq, Eq)]
pub struct DlqWatchSettings {
    /// True if the worker watches them.
    pub is_on: bool,
    /// The interval at which the depth of a DLQ is requested.
    pub every: Duration,
    /// The time for which a reported reason is not reported again.
    pub quiet: Duration,
    /// The target of alerts.
    pub alert_to: Option<AlertTarget>,
    /// The text of the template of alerts.
    pub alert_template: Option<String>,
}

/// Shows no template, because its texts may be secrets such as routing keys.
impl fmt::Debug for DlqWatchSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_on, every, quiet, alert_to, alert_template } = self;
        f.debug_struct("DlqWatchSettings")
            .field("is_on", is_on)
            .field("every", every)
            .field("quiet", quiet)
            .field("alert_to", alert_to)
            .field("has_alert_template", &alert_template.is_some())
            .finish()
    }
}

impl Reader<'_> {
    pub(super) fn dlq_watch(&mut self) -> Option<DlqWatchSettings> {
        let is_on = self.get("dlq_watch", None, values::on_or_off);
        let every = self.get("dlq_watch_every", None, values::up_to_an_hour);
        let quiet = self.get("dlq_alert_quiet", None, values::positive_duration);
        let alert_to = self.get("dlq_alert_to", None, AlertTarget::parse);
        let alert_template = self.get("dlq_alert_template", None, values::file_text);
        Some(DlqWatchSettings { is_on: is_on?, every: every?, quiet: quiet?, alert_to, alert_template })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_template() {
        let settings = DlqWatchSettings {
            is_on: true,
            every: Duration::from_secs(30),
            quiet: Duration::from_secs(3_600),
            alert_to: None,
            alert_template: Some(r#"{"routing_key":"s3cret"}"#.to_owned()),
        };
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
