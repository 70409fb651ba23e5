//! The settings of a process, and how they are read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use drumline::core::LimitRules;
use drumline_store::{Retention, SecretText, SecretUrl};
use url::Url;

use super::by_name::QUEUE_BY_TYPE;
use super::dlq_watch::DlqWatchSettings;
use super::effective::Effective;
use super::guards::GuardSettings;
use super::log_filter::log_filter;
use super::problem::Problem;
use super::queue::{QueueSettings, is_same_queue};
use super::reader::{Reader, Reading};
use super::schedules::ScheduleSettings;
use super::unknown::UnknownVariable;
use super::values::{self, AllFailed, FifoStop, LogFormat};
use crate::aws::{SqsClientChoice, name_of, queue_name};
use crate::claims::StoreSettings;
use crate::dead_job_webhook::DeadJobWebhook;
use crate::forward::{ForwardOptions, read_headers};
use crate::logs::JobLog;
use crate::payload::PayloadSettings;
use crate::shown::Shown;
use crate::sqs_price::SqsPrice;
use crate::trace::TraceParent;

/// The URL of no queue: stands for all queues that the settings do not list.
const NO_QUEUE: &str = "http://localhost/none";

/// The settings of a process.
///
/// ```
/// use drumline_runtime::Settings;
/// let environment = |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "http://127.0.0.1:9324/000000000000/jobs".to_owned());
/// let settings = Settings::read(&Default::default(), environment, None)?;
/// assert_eq!(settings.queues[0].concurrency.get(), 32);
/// # Ok::<(), drumline_runtime::Problems>(())
/// ```
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// The queues: at least one for a consumer, none or some for a Lambda function or a tool.
    pub queues: Vec<QueueSettings>,
    /// The slots that the queues share; `None` if each has its own.
    pub shared_slots: Option<NonZeroUsize>,
    /// The settings of queues that are not among them.
    pub(super) other_queues: QueueSettings,
    /// The queues that jobs of single types are sent to. A producer sends all others to the only one of `queues`.
    pub queue_by_type: HashMap<String, Url>,
    /// The jobs that are added at set times.
    pub schedules: Vec<ScheduleSettings>,
    /// The limits on the jobs of this process.
    pub limits: LimitRules,
    /// The name of their timetable.
    pub timetable: String,
    /// The guards of payloads before they are sent.
    pub guards: GuardSettings,
    /// The time for which running handlers may continue after a SIGTERM.
    pub shutdown_grace: Duration,
    /// The time before a Lambda function's timeout by which its response is sent.
    pub deadline_margin: Duration,
    /// The messages of a Lambda batch that a failed FIFO message returns with it.
    pub fifo_stop: FifoStop,
    /// The response to a Lambda batch in which every message failed.
    pub all_failed: AllFailed,
    /// The client that makes the requests of the hot path.
    pub sqs_client: SqsClientChoice,
    /// Metrics are written to standard output in CloudWatch's embedded metric format.
    pub emf: bool,
    /// The price of requests to SQS, for the metric of a job's cost.
    pub sqs_price: SqsPrice,
    /// Jobs are counted by tenant.
    pub tenant_metrics: bool,
    /// The application that messages are forwarded to, in forward mode.
    pub forward_to: Option<SecretUrl>,
    /// Options of forward mode.
    pub forward: ForwardOptions,
    /// The location of claims and histories.
    pub store: StoreSettings,
    /// The place where jobs wait until they are sent: the outbox's own URL, else the store's if it is PostgreSQL or Redis.
    pub outbox_url: Option<SecretUrl>,
    /// The time for which jobs stay in the outbox after they were sent.
    pub outbox_keep: Duration,
    /// A worker adds next jobs to the outbox of its PostgreSQL store with the marks, and relays that outbox.
    pub outbox_relay: bool,
    /// The settings of payloads outside their message, for reading and for putting large ones.
    pub payloads: PayloadSettings,
    /// Records of version 0.1 are looked up under their old keys.
    pub legacy_records: bool,
    /// The consumer protects its ECS task while a handler has run for longer than the grace.
    pub task_protection: bool,
    /// The settings of the watch over the DLQs.
    pub dlq_watch: DlqWatchSettings,
    /// The webhook that is called for each dead job, besides the hook of the program.
    pub dead_job_webhook: Option<DeadJobWebhook>,
    /// The address of the process's HTTP endpoint; `None` if it has none.
    pub http_addr: Option<SocketAddr>,
    /// Who reads about jobs at `http_addr`.
    pub http_access: HttpAccess,
    /// The format of logs.
    pub log_format: LogFormat,
    /// The filter of logs.
    pub log: String,
    /// The level of the lines `started` and `done` of each job.
    pub job_log: JobLog,
    /// The last log lines of each failed attempt are kept with its history.
    pub attempt_log: bool,
    /// The parent of an attempt's span.
    pub trace_parent: TraceParent,
    /// Every setting's text without secrets and where it came from, for `drumline config`.
    pub effective: Vec<Effective>,
    /// Variables that look like settings and are none, in the order of their names. Misspelt ones only in a Lambda function.
    pub unknown_variables: Vec<UnknownVariable>,
}

/// Who reads about jobs at the HTTP endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpAccess {
    /// The secret that clients must give.
    pub token: Option<SecretText>,
    /// Clients beyond the loopback interface need no token.
    pub allow_remote: bool,
    /// The names by which clients reach the endpoint, besides `localhost` and addresses.
    pub hosts: Vec<String>,
}

impl Settings {
    /// Returns the settings of the queue at `url`: its own if the settings have it by account and name, or by its name alone; else
    /// those of all queues.
    pub fn for_queue(&self, url: &Url) -> QueueSettings {
        let path = |url: &Url| -> Vec<String> {
            let parts = url.path().trim_end_matches('/').rsplit('/').take(2);
            parts.map(str::to_owned).collect()
        };
        let own = self.queues.iter().find(|queue| path(&queue.url) == path(url));
        let name = queue_name(url.path());
        let by_name = || self.queues.iter().find(|queue| name_of(&queue.url) == Some(name));
        let by_name = || by_name().map(|queue| QueueSettings { url: url.clone(), ..queue.clone() });
        own.cloned()
            .or_else(by_name)
            .unwrap_or_else(|| QueueSettings { url: url.clone(), ..self.other_queues.clone() })
    }
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
        let queues: Option<Vec<QueueSettings>> = queues.into_iter().collect();
        let shared_slots = queues.as_ref().and_then(|queues| self.shared_slots(queues));
        let queue_by_type = self.by_name(&QUEUE_BY_TYPE, None, values::queue_url);
        let schedules = self.schedules();
        let limits = self.limits();
        let timetable = self.get("timetable", None, |text| Ok::<_, String>(text.to_owned()));
        let guards = self.guards();
        let shutdown_grace = self.get("shutdown_grace", None, values::positive_duration);
        let deadline_margin = self.get("deadline_margin", None, values::positive_duration);
        let fifo_stop = self.get("fifo_stop", None, values::fifo_stop);
        let sqs_client = self.get("sqs_client", None, values::sqs_client);
        let all_failed = self.get("all_failed", None, values::all_failed);
        let emf = self.get("emf", None, values::on_or_off).unwrap_or(self.reading == Reading::Function);
        let sqs_price = self.get("sqs_price", None, values::sqs_price);
        let tenant_metrics = self.get("tenant_metrics", None, values::on_or_off);
        let forward_to = self.get("forward_to", None, values::http_url);
        let forward = ForwardOptions {
            health: self.get("forward_health", None, values::url_path),
            headers: self.get("forward_headers", None, read_headers).unwrap_or_default(),
        };
        let payloads = self.payloads();
        let store = self.store();
        let outbox_url = self.outbox_url(store.as_ref());
        let outbox_keep = self.get("outbox_keep", None, values::outbox_keep);
        let outbox_relay = self.outbox_relay(store.as_ref());
        let legacy_records = self.get("legacy_records", None, values::legacy_records);
        let task_protection = self.get("task_protection", None, values::on_or_off);
        let dlq_watch = self.dlq_watch();
        let dead_job_webhook = self.dead_job_webhook();
        let http_addr = self.get("http_addr", None, values::address_or_off);
        let http_access = self.http_access();
        let log_format = self.get("log_format", None, values::log_format);
        let log = self.get("log", None, log_filter);
        let job_log = self.get("job_log", None, str::parse::<JobLog>);
        let attempt_log = self.get("attempt_log", None, values::on_or_off);
        let trace_parent = self.get("trace_parent", None, str::parse::<TraceParent>);
        Some(Settings {
            queues: queues?,
            shared_slots,
            other_queues: other_queues?,
            queue_by_type,
            schedules,
            limits,
            timetable: timetable?,
            guards: guards?,
            shutdown_grace: shutdown_grace?,
            deadline_margin: deadline_margin?,
            fifo_stop: fifo_stop?,
            all_failed: all_failed?,
            sqs_client: sqs_client?,
            emf,
            sqs_price: sqs_price?,
            tenant_metrics: tenant_metrics?,
            forward_to,
            forward,
            payloads: payloads?,
            store: store?,
            outbox_url,
            outbox_keep: outbox_keep?,
            outbox_relay: outbox_relay?,
            legacy_records: legacy_records?,
            task_protection: task_protection?,
            dlq_watch: dlq_watch?,
            dead_job_webhook,
            http_addr: http_addr?,
            http_access: http_access?,
            log_format: log_format?,
            log: log?,
            job_log: job_log?,
            attempt_log: attempt_log?,
            trace_parent: trace_parent?,
            effective: Vec::new(),
            unknown_variables: Vec::new(),
        })
    }

    fn dead_job_webhook(&mut self) -> Option<DeadJobWebhook> {
        let webhook = self.get("dead_job_webhook", None, DeadJobWebhook::parse);
        let headers = self.get("dead_job_webhook_headers", None, read_headers).unwrap_or_default();
        webhook.map(|webhook| webhook.with_headers(headers))
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
}
