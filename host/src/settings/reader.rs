//! From the sources' texts to settings, with every problem on the way.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;

use drumline::RetryPolicy;
use drumline_store::Retention;

use super::by_name::{
    EVENT_TYPES, Entry, HANDLER_TIMEOUT_BY_TYPE, MAX_ATTEMPTS_BY_TYPE, REQUIRE_BY_TYPE, RETRY_BY_TYPE,
    SCOPE_BY_TYPE, TableByName,
};
use super::in_force::{Effective, HttpAccess, QueueSettings, Settings};
use super::log_filter::log_filter;
use super::origin::Origin;
use super::problem::Problem;
use super::sources::{QueueSection, Sources};
use super::table::{SETTINGS, Setting};
use super::values;
use crate::claims::StoreSettings;
use crate::forward::{ForwardOptions, read_headers};
use crate::shown::Shown;
use crate::waits::possible_waits;

/// The URL of no queue: stands for all queues that the settings do not list.
const NO_QUEUE: &str = "http://localhost/none";

/// The settings whose default is an attribute of the queue.
const DEFAULTS_OF_THE_QUEUE: [&str; 2] = ["visibility_timeout", "scope"];

/// The kind of process whose settings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Consumer,
    Function,
    Tool,
}

/// A queue whose settings are read, with its `[[queue]]` table if it has one.
#[derive(Debug, Clone, Copy)]
struct ForQueue<'a> {
    url: &'a str,
    section: Option<&'a QueueSection>,
}

/// Parses texts one by one, and continues after a bad one.
pub(super) struct Reader<'a> {
    pub(super) reading: Reading,
    pub(super) sources: &'a Sources,
    pub(super) problems: Vec<Problem>,
    pub(super) effective: Vec<Effective>,
}

impl Reader<'_> {
    /// Returns `None` only if a problem has been noted.
    pub(super) fn settings(&mut self) -> Option<Settings> {
        let urls = self.queue_urls();
        let before = self.effective.len();
        let other_queues = self.queue(NO_QUEUE);
        if !urls.is_empty() {
            // The values in force for the given queues follow.
            self.effective.truncate(before);
        }
        let queues: Vec<Option<QueueSettings>> = urls.into_iter().map(|url| self.queue(&url)).collect();
        let shutdown_grace = self.get("shutdown_grace", None, values::positive_duration);
        let deadline_margin = self.get("deadline_margin", None, values::positive_duration);
        let fifo_stop = self.get("fifo_stop", None, values::fifo_stop);
        let all_failed = self.get("all_failed", None, values::all_failed);
        let emf = self.get("emf", None, values::on_or_off);
        let forward_to = self.get("forward_to", None, values::http_url);
        let forward = ForwardOptions {
            health: self.get("forward_health", None, values::url_path),
            headers: self.get("forward_headers", None, read_headers).unwrap_or_default(),
        };
        let store = self.store();
        let legacy_records = self.get("legacy_records", None, values::legacy_records);
        let task_protection = self.get("task_protection", None, values::on_or_off);
        let http_addr = self.get("http_addr", None, values::address_or_off);
        let http_access = self.http_access();
        let log_format = self.get("log_format", None, values::log_format);
        let log = self.get("log", None, log_filter);
        Some(Settings {
            queues: queues.into_iter().collect::<Option<_>>()?,
            other_queues: other_queues?,
            shutdown_grace: shutdown_grace?,
            deadline_margin: deadline_margin?,
            fifo_stop: fifo_stop?,
            all_failed: all_failed?,
            emf: emf?,
            forward_to,
            forward,
            store: store?,
            legacy_records: legacy_records?,
            task_protection: task_protection?,
            http_addr: http_addr?,
            http_access: http_access?,
            log_format: log_format?,
            log: log?,
            effective: Vec::new(),
            unknown_variables: Vec::new(),
        })
    }

    fn http_access(&mut self) -> Option<HttpAccess> {
        let token = self.get("http_token", None, values::http_token);
        let allow_remote = self.get("allow_remote", None, values::on_or_off);
        let hosts = self.get("http_hosts", None, values::host_names);
        Some(HttpAccess { token, allow_remote: allow_remote?, hosts: hosts.unwrap_or_default() })
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let location = self.get("store_url", None, values::store_url);
        let outage = self.get("store_outage", None, values::store_outage);
        let done = self.get("done_ttl", None, values::ttl);
        let history = self.get("history_ttl", None, values::ttl);
        let keep = Retention { done: done?, history: history? };
        Some(StoreSettings { location: location?, outage: outage?, keep })
    }

    /// Returns the queues of the flag or the variable, else those of the file.
    fn queue_urls(&mut self) -> Vec<String> {
        let place = self.place_of_queues();
        let listed = self.get("queue_url", None, |text| Ok::<_, String>(text.to_owned()));
        let urls: Vec<String> = match listed {
            Some(text) => {
                text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect()
            }
            None => self.sources.queues.iter().map(|queue| queue.url.clone()).collect(),
        };
        if urls.is_empty() && self.reading == Reading::Consumer {
            let text = "no queue is given: set DRUMLINE_QUEUE_URL, --queue-url, or [[queue]] in the file";
            self.problems.push(Problem::new("queue_url".to_owned(), text.to_owned()));
        }
        for (index, url) in urls.iter().enumerate() {
            if urls[..index].iter().any(|other| is_same_queue(other, url)) {
                let text = format!("{} is given twice", Shown::Urls.of(url));
                self.problems.push(Problem::new(place.clone(), text));
            }
        }
        urls
    }

    /// The name that the operator has used to give the queues.
    fn place_of_queues(&self) -> String {
        let setting = setting("queue_url");
        match self.sources.get(setting, None) {
            Some((_, Origin::Environment)) => setting.variable(),
            Some((_, Origin::Flag)) => format!("--{}", setting.flag()),
            None if !self.sources.queues.is_empty() => "[[queue]] url".to_owned(),
            _ => setting.key.to_owned(),
        }
    }

    fn queue(&mut self, url: &str) -> Option<QueueSettings> {
        let section = self.sources.queues.iter().find(|queue| is_same_queue(&queue.url, url));
        let queue = Some(ForQueue { url, section });
        let parsed = values::queue_url(url);
        if let Err(text) = &parsed {
            self.problems.push(Problem::new(self.place_of_queues(), text.clone()));
        }
        let concurrency = self.get("concurrency", queue, values::concurrency);
        let visibility_timeout = self.get("visibility_timeout", queue, values::visibility_timeout);
        let wait_time = self.get("wait_time", queue, values::wait_time);
        let handler_timeout = self.get("handler_timeout", queue, values::positive_duration);
        let handler_timeout_by_type =
            self.by_name(&HANDLER_TIMEOUT_BY_TYPE, queue, values::positive_duration);
        let retry = self.get("retry", queue, str::parse::<RetryPolicy>);
        let jitter = self.get("retry_jitter", queue, values::jitter);
        let retry_by_type = self.by_name(&RETRY_BY_TYPE, queue, str::parse::<RetryPolicy>);
        let max_attempts = self.get("max_attempts", queue, values::max_attempts);
        let max_attempts_by_type = self.by_name(&MAX_ATTEMPTS_BY_TYPE, queue, values::max_attempts);
        let allow_unbounded = self.get("allow_unbounded", queue, values::boolean);
        let permanent_failures = self.get("permanent_failures", queue, values::permanent_failures);
        let unknown_type = self.get("unknown_type", queue, values::unknown_type);
        let default_type = self.get("default_type", queue, values::job_type);
        let event_types = self.by_name(&EVENT_TYPES, queue, values::job_type);
        let scope = self.get("scope", queue, values::scope);
        let scope_by_type = self.by_name(&SCOPE_BY_TYPE, queue, values::scope);
        let require = self.get("require", queue, values::required_fields);
        let require_by_type = self.by_name(&REQUIRE_BY_TYPE, queue, values::required_fields);
        let with_jitter = |policy: RetryPolicy| match jitter {
            Some(jitter) => policy.with_jitter(jitter),
            None => policy,
        };
        let retry = with_jitter(retry?);
        self.show_retries(url, &retry, max_attempts);
        Some(QueueSettings {
            url: parsed.ok()?,
            concurrency: concurrency?,
            visibility_timeout,
            wait_time: wait_time?,
            handler_timeout: handler_timeout?,
            handler_timeout_by_type,
            retry,
            retry_by_type: retry_by_type
                .into_iter()
                .map(|(name, policy)| (name, with_jitter(policy)))
                .collect(),
            max_attempts,
            max_attempts_by_type,
            allow_unbounded: allow_unbounded?,
            permanent_failures: permanent_failures?,
            unknown_type: unknown_type?,
            default_type,
            event_types,
            scope,
            scope_by_type,
            require: require.unwrap_or_default(),
            require_by_type,
        })
    }

    /// Shows what follows from the retry policy: its jitter if none is set, and its waits.
    fn show_retries(&mut self, url: &str, retry: &RetryPolicy, max_attempts: Option<NonZeroU32>) {
        let is_unset = |setting: &&mut Effective| setting.key == "retry_jitter" && setting.value.is_none();
        if let Some(setting) = self.effective.iter_mut().rev().find(is_unset) {
            setting.value = Some(retry.jitter().label().to_owned());
        }
        let origin = if retry.is_auto() { Origin::Queue } else { Origin::Default };
        let value = Some(possible_waits(retry, max_attempts));
        self.effective.push(Effective {
            queue: Some(Shown::Urls.of(url)),
            key: "retry_waits".to_owned(),
            value,
            origin,
        });
    }

    /// Returns a setting's value; `None` if it has none, or if a problem has been noted.
    fn get<T, E: fmt::Display>(
        &mut self,
        key: &str,
        queue: Option<ForQueue<'_>>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let setting = setting(key);
        let given = self.sources.get(setting, queue.and_then(|queue| queue.section));
        let (value, origin) = match given {
            Some((text, origin)) => (Some(text), origin),
            None if DEFAULTS_OF_THE_QUEUE.contains(&key) => (None, Origin::Queue),
            None => (None, Origin::Default),
        };
        let result = value.as_deref().map(parse).transpose();
        let value = value.map(|value| setting.shown.of(&value));
        let place = place(setting, value.as_deref().unwrap_or_default(), &origin);
        let queue = queue.map(|queue| Shown::Urls.of(queue.url));
        self.effective.push(Effective { queue, key: key.to_owned(), value, origin });
        result.unwrap_or_else(|error| {
            self.note(place, &error);
            None
        })
    }

    /// Returns the values of a table that are in force for a queue, without those of which a problem has been noted.
    fn by_name<T, E: fmt::Display>(
        &mut self,
        table: &TableByName,
        queue: Option<ForQueue<'_>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> HashMap<String, T> {
        let mut values = HashMap::new();
        for (name, Entry { text, origin, place }) in
            self.sources.table(table, queue.and_then(|queue| queue.section))
        {
            let key = format!("{}.{name}", table.key);
            match parse(&text) {
                Ok(value) => {
                    values.insert(name, value);
                }
                Err(error) => self.note(format!("{place} = {:?}", Shown::Text.of(&text)), &error),
            }
            let queue = queue.map(|queue| Shown::Urls.of(queue.url));
            self.effective.push(Effective { queue, key, value: Some(Shown::Text.of(&text)), origin });
        }
        values
    }

    /// Notes a problem once, although it is found again for each queue.
    fn note(&mut self, place: String, error: &dyn fmt::Display) {
        let problem = Problem::new(place, Shown::Text.of(&error.to_string()));
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Compares two texts by the queues that they name: one can be an ARN, the other a URL.
fn is_same_queue(a: &str, b: &str) -> bool {
    let url = |text| values::queue_url(text).ok();
    a == b || url(a).is_some_and(|a| url(b) == Some(a))
}

fn setting(key: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("asked for by its key in the table")
}

/// The setting with its value, by the name that the operator has used.
fn place(setting: &Setting, shown: &str, origin: &Origin) -> String {
    match origin {
        Origin::Environment => format!("{} = {shown:?}", setting.variable()),
        Origin::Flag => format!("--{} = {shown:?}", setting.flag()),
        _ => format!("{} = {shown:?} ({origin})", setting.key),
    }
}
