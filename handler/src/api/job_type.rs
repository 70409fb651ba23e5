//! The registered properties of a job type.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::api::job::Job;
use crate::core::retry::{MAX_VISIBILITY, RetryPolicy};

/// A job type for which a router has a handler, with the values that its code sets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobType {
    /// [`Job::TYPE`].
    pub name: Arc<str>,
    /// [`Job::VERSION`].
    pub version: u32,
    /// The oldest version from which the [`Job::UPCASTERS`] reach the current one without a gap; [`version`](Self::version) if
    /// there are none.
    pub oldest_version: u32,
    /// [`Job::TIMEOUT`].
    pub timeout: Option<Duration>,
    /// [`Job::MAX_ATTEMPTS`].
    pub max_attempts: Option<NonZeroU32>,
    /// [`Job::retry`].
    pub retry: Option<RetryPolicy>,
    schemas: Schemas,
}

/// [`Job::schema`]. Schemas are made on request, because a worker needs none.
///
/// It is code, like a handler: comparisons ignore it, and it has no text.
#[derive(Clone, Copy)]
struct Schemas(fn(u32) -> Option<Value>);

impl PartialEq for Schemas {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl JobType {
    pub(crate) fn of<J: Job>() -> Self {
        Self {
            name: Arc::from(J::TYPE),
            version: J::VERSION,
            oldest_version: oldest_version::<J>(),
            timeout: J::TIMEOUT,
            max_attempts: J::MAX_ATTEMPTS.and_then(NonZeroU32::new),
            retry: J::retry(),
            schemas: Schemas(J::schema),
        }
    }

    /// Returns the versions that its handler reads, the oldest first.
    pub fn versions(&self) -> RangeInclusive<u32> {
        self.oldest_version..=self.version
    }

    /// Returns the JSON Schema of the payload of a version: [`Job::schema`]. `None` if it has none, or the handler does not read the
    /// version.
    pub fn schema(&self, version: u32) -> Option<Value> {
        if self.versions().contains(&version) { (self.schemas.0)(version) } else { None }
    }

    /// Adds the values that its code sets to tables of values by type, unless a table has one for it: a setting for the type
    /// overrides its code.
    pub fn fill(
        &self,
        handler_timeouts: &mut HashMap<String, Duration>,
        max_attempts: &mut HashMap<String, NonZeroU32>,
        retries: &mut HashMap<String, RetryPolicy>,
    ) {
        if let Some(timeout) = self.timeout {
            handler_timeouts.entry(self.name.to_string()).or_insert(timeout);
        }
        if let Some(most) = self.max_attempts {
            max_attempts.entry(self.name.to_string()).or_insert(most);
        }
        if let Some(retry) = &self.retry {
            retries.entry(self.name.to_string()).or_insert_with(|| retry.clone());
        }
    }

    /// A type whose messages are handed on unchanged.
    pub(crate) fn passthrough(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            version: u32::MAX,
            oldest_version: 0,
            timeout: None,
            max_attempts: None,
            retry: None,
            schemas: Schemas(|_| None),
        }
    }
}

/// Returns the oldest version from which the upcasters reach the current one without a gap.
fn oldest_version<J: Job>() -> u32 {
    let has_step = |from: u32| J::UPCASTERS.iter().any(|step| step.from == from);
    let mut oldest = J::VERSION;
    while oldest > 0 && has_step(oldest - 1) {
        oldest -= 1;
    }
    oldest
}

/// Returns the reasons why no worker can run this job type.
pub(crate) fn problems_of<J: Job>() -> Vec<String> {
    let of_type = |problem: &str| format!("job type {}: {problem}", J::TYPE);
    let is_out_of_bounds = |timeout: Duration| timeout.is_zero() || timeout > MAX_VISIBILITY;
    let checks = [
        (J::VERSION == 0, "VERSION starts at 1"),
        (J::TIMEOUT.is_some_and(is_out_of_bounds), "TIMEOUT must be more than nothing, and at most 12h"),
        (J::MAX_ATTEMPTS == Some(0), "MAX_ATTEMPTS starts at 1"),
    ];
    checks.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, problem)| of_type(problem)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::job::Upcaster;

    const fn step(from: u32) -> Upcaster {
        Upcaster { from, up: Ok }
    }

    #[derive(serde::Deserialize)]
    struct Gap {}

    impl Job for Gap {
        const TYPE: &'static str = "gap";
        const VERSION: u32 = 5;
        const UPCASTERS: &'static [Upcaster] = &[step(4), step(1), step(3)];

        fn schema(version: u32) -> Option<Value> {
            (version != 4).then(|| json!({ "title": version }))
        }
    }

    #[derive(serde::Deserialize)]
    struct Plain {}

    impl Job for Plain {
        const TYPE: &'static str = "plain";
    }

    /// As [`Plain`], with a schema.
    #[derive(serde::Deserialize)]
    struct Described {}

    impl Job for Described {
        const TYPE: &'static str = "plain";

        fn schema(_: u32) -> Option<Value> {
            Some(json!({ "title": "plain" }))
        }
    }

    #[test]
    fn the_versions_are_those_that_upcasters_reach_without_a_gap() {
        assert_eq!(JobType::of::<Gap>().versions(), 3..=5);
        assert_eq!(JobType::of::<Plain>().versions(), 1..=1);
    }

    #[test]
    fn a_version_has_a_schema_if_it_is_read_and_the_code_has_one() {
        let gap = JobType::of::<Gap>();
        let of = [2, 3, 4, 5, 6].map(|version| gap.schema(version));
        assert_eq!(of, [None, Some(json!({ "title": 3 })), None, Some(json!({ "title": 5 })), None]);
        assert_eq!(JobType::of::<Plain>().schema(1), None);
    }

    #[test]
    fn types_are_compared_and_shown_without_their_code() {
        let (plain, described) = (JobType::of::<Plain>(), JobType::of::<Described>());
        assert_ne!(plain.schema(1), described.schema(1));
        assert_eq!(plain, described);
        assert_ne!(plain, JobType::of::<Gap>());
        assert!(format!("{:?}", JobType::of::<Plain>()).ends_with("schemas: .. }"));
    }
}
