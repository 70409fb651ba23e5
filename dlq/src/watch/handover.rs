//! The part of a watch's memory that the next watch needs to distinguish new letters from old ones.

use serde::{Deserialize, Serialize};

use crate::alert::Alert;

/// The letters of a DLQ at the end of a watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Handover {
    /// The number of letters that are explained.
    pub depth: u64,
    /// The number of letters that are not new, although their ids are not known.
    pub hidden: u64,
    /// True if no letter was looked at yet.
    pub is_unread: bool,
    /// The ends of the last message ids: eight hexadecimal digits each.
    pub seen: String,
    /// Deaths that are not reported yet.
    pub pending: Vec<Pending>,
}

/// Deaths with one fingerprint that are not reported yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pending {
    /// The masked reason.
    pub reason: String,
    /// The queue in which the first of them died.
    pub origin: Option<String>,
    /// The type of its job.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    /// The class of its failure.
    pub class: Option<String>,
    /// The number of deaths.
    pub count: u64,
    /// True if there may be more deaths.
    pub is_sample: bool,
    /// The time of the first death, in milliseconds since the Unix epoch.
    pub first_at: u64,
}

impl Pending {
    /// Returns the deaths of an alert.
    pub fn of(alert: &Alert) -> Self {
        let Alert { reason, origin, job_type, class, count, is_sample, first_at_ms, .. } = alert.clone();
        Self { reason, origin, job_type, class, count, is_sample, first_at: first_at_ms }
    }
}

impl Handover {
    /// Returns the document, in at most `most_bytes` bytes. Deaths that do not fit are left out, beginning with the fewest.
    pub fn text(&self, most_bytes: usize) -> String {
        let mut fitting = self.clone();
        fitting.pending.sort_by_key(|pending| std::cmp::Reverse(pending.count));
        loop {
            // A struct of texts and numbers is JSON.
            let text = serde_json::to_string(&fitting).unwrap_or_default();
            if text.len() <= most_bytes || fitting.pending.is_empty() {
                return text;
            }
            fitting.pending.truncate(fitting.pending.len() * 3 / 4);
        }
    }
}
