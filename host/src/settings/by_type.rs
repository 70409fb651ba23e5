//! The values of single job types: a setting for the type overrides the type's code, which overrides the queue's setting.

use drumline::Router;
use drumline::run::JobType;

use super::effective::Effective;
use super::origin::Origin;
use super::process::Settings;
use super::queue::QueueSettings;
use crate::aws::queue_url;
use crate::shown::Shown;

/// The active values for a job type on a queue, for `drumline config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveType {
    /// The queue, as in the rows of [`Settings::effective`].
    pub queue: String,
    /// The type's name.
    pub name: String,
    /// The newest version of its payload.
    pub version: u32,
    /// The time limit of one attempt.
    pub handler_timeout: TypeValue,
    /// The number of failed attempts after which a message fails permanently.
    pub max_attempts: TypeValue,
    /// The waits after failed attempts.
    pub retry: TypeValue,
}

/// A value of a job type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeValue {
    /// Its text; `None` without a value.
    pub value: Option<String>,
    /// Its source.
    pub origin: Origin,
}

impl QueueSettings {
    /// Returns the settings with the values in the code of the router's job types, unless a setting of the type overrides them.
    pub fn with_types_of(&self, router: &Router) -> Self {
        let mut settings = self.clone();
        for job_type in router.job_types() {
            job_type.fill(
                &mut settings.handler_timeout_by_type,
                &mut settings.max_attempts_by_type,
                &mut settings.retry_by_type,
            );
        }
        settings
    }
}

impl Settings {
    /// Returns the active values for each job type of the router on each queue.
    pub fn effective_types(&self, router: &Router) -> Vec<EffectiveType> {
        let queues = self.queues.iter().map(|queue| self.shown(queue));
        let for_queue =
            |queue: String| router.job_types().map(move |job_type| self.effective_type(&queue, job_type));
        queues.flat_map(for_queue).collect()
    }

    /// Returns the text of a queue in the rows of effective settings: its URL, ARN or name, as it was given.
    fn shown(&self, queue: &QueueSettings) -> String {
        let mut texts = self.effective.iter().filter_map(|row| row.queue.as_ref());
        let text = texts.find(|text| queue_url(text).is_ok_and(|url| url == queue.url));
        text.cloned().unwrap_or_else(|| Shown::Urls.of(queue.url.as_str()))
    }

    fn effective_type(&self, queue: &str, job_type: &JobType) -> EffectiveType {
        let row = |key: &str| {
            let is_it = |row: &&Effective| row.queue.as_deref() == Some(queue) && row.key == key;
            self.effective.iter().find(is_it)
        };
        let value = |key: &str, code: Option<String>| {
            let of_row = |row: &Effective| TypeValue { value: row.value.clone(), origin: row.origin.clone() };
            let of_code = code.map(|value| TypeValue { value: Some(value), origin: Origin::Code });
            let of_type = row(&format!("{key}_by_type.{}", job_type.name)).map(of_row);
            let none = TypeValue { value: None, origin: Origin::Default };
            of_type.or(of_code).or_else(|| row(key).map(of_row)).unwrap_or(none)
        };
        let timeout = job_type.timeout.map(|timeout| humantime::format_duration(timeout).to_string());
        EffectiveType {
            queue: queue.to_owned(),
            name: job_type.name.to_string(),
            version: job_type.version,
            handler_timeout: value("handler_timeout", timeout),
            max_attempts: value("max_attempts", job_type.max_attempts.map(|most| most.to_string())),
            retry: value("retry", job_type.retry.as_ref().map(ToString::to_string)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::time::Duration;

    use drumline::{Context, Job, RetryPolicy};

    use super::*;
    use crate::claims::StoreOutage;

    #[derive(serde::Deserialize)]
    struct Mail {}

    impl Job for Mail {
        const TYPE: &'static str = "mail";
        const VERSION: u32 = 3;
        const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));
        const MAX_ATTEMPTS: Option<u32> = Some(3);

        fn retry() -> Option<RetryPolicy> {
            Some("schedule(10s,1m)".parse().unwrap())
        }
    }

    #[derive(serde::Deserialize)]
    struct Report {}

    impl Job for Report {
        const TYPE: &'static str = "report";
    }

    fn router() -> Router {
        let router = Router::new().handle(|_: Context, _: Mail| async { Ok(()) });
        router.handle(|_: Context, _: Report| async { Ok(()) })
    }

    fn settings(queue: &str, file: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drumline.toml");
        std::fs::write(&path, format!("queue_url = \"{queue}\"\n{file}")).unwrap();
        Settings::read(&BTreeMap::new(), |_| None, Some(&path)).unwrap()
    }

    #[test]
    fn a_types_setting_overrides_its_code_then_the_queues_setting() {
        const QUEUE: &str = "handler_timeout = \"5m\"\nmax_attempts = 7\nretry = \"schedule(1h)\"\n";
        const TYPES: &str = "[handler_timeout_by_type]\nmail = \"2m\"\n[max_attempts_by_type]\nmail = 9\n\
             [retry_by_type]\nmail = \"schedule(5s)\"\n";
        let table = [
            ("", "mail", [("30s", "code"), ("3", "code"), ("schedule(10s,1m)", "code")]),
            (QUEUE, "mail", [("30s", "code"), ("3", "code"), ("schedule(10s,1m)", "code")]),
            (TYPES, "mail", [("2m", "file"), ("9", "file"), ("schedule(5s)", "file")]),
            (QUEUE, "report", [("5m", "file"), ("7", "file"), ("schedule(1h)", "file")]),
            ("", "report", [("15m", "default"), ("-", "default"), ("auto", "default")]),
        ];
        let queues = [
            "http://localhost/1/jobs",
            "http://localhost:80/1/jobs",
            "jobs",
            "arn:aws:sqs:eu-west-1:123456789012:jobs",
        ];
        for (queue, (file, name, expected)) in
            queues.into_iter().flat_map(|queue| table.map(|row| (queue, row)))
        {
            let settings = settings(queue, file);
            let types = settings.effective_types(&router());
            assert_eq!(
                types.iter().map(|of| (&*of.name, of.version)).collect::<Vec<_>>(),
                [("mail", 3), ("report", 1)]
            );
            let is_row = |of: &EffectiveType| {
                settings.effective.iter().any(|row| row.queue.as_ref() == Some(&of.queue))
            };
            assert!(types.iter().all(is_row), "{types:?}");
            let found = types.iter().find(|of| of.name == name).unwrap();
            let shown = |TypeValue { value, origin }: &TypeValue| {
                (value.clone().unwrap_or("-".to_owned()), origin.to_string())
            };
            let values = [&found.handler_timeout, &found.max_attempts, &found.retry].map(shown);
            assert_eq!(
                values,
                expected.map(|(value, origin)| (value.to_owned(), origin.to_owned())),
                "{queue} {file} {name}"
            );

            let policy = settings.queues[0].with_types_of(&router()).policy("jobs", StoreOutage::Retry, None);
            let timeout = policy.handler_timeout_by_type.get(name).unwrap_or(&policy.handler_timeout);
            assert_eq!(humantime::format_duration(*timeout).to_string(), values[0].0);
            let most = policy.max_attempts_for(Some(name)).map_or("-".to_owned(), |most| most.to_string());
            assert_eq!(most, values[1].0);
            assert_eq!(policy.retry_for(Some(name)).to_string(), values[2].0);
        }
    }
}
