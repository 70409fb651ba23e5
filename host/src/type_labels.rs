//! The job types with their own label in metrics.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The number of job types of a queue with their own label; further ones count as [`OTHER_TYPE`]. Producers choose types, and
/// an unlimited number would fill the memory of a scraper and, in CloudWatch, cost a custom metric each.
pub const MAX_TYPES: usize = 100;

/// The label of the types beyond [`MAX_TYPES`].
pub const OTHER_TYPE: &str = "other";

/// The label of messages without a known type.
pub const UNKNOWN_TYPE: &str = "unknown";

/// The first [`MAX_TYPES`] types of a queue in a process.
#[derive(Debug, Default)]
pub struct TypeLabels(Mutex<HashSet<String>>);

impl TypeLabels {
    /// Returns the label of a type.
    pub fn label<'a>(&self, job_type: Option<&'a str>) -> &'a str {
        let Some(job_type) = job_type else { return UNKNOWN_TYPE };
        let mut types = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_label =
            types.contains(job_type) || (types.len() < MAX_TYPES && types.insert(job_type.to_owned()));
        if has_label { job_type } else { OTHER_TYPE }
    }
}
