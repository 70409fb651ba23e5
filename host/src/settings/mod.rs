//! The settings: read from every source, understood, and all problems told at once.

mod sources;
mod table;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline::{RetryPolicy, Router, UnknownType};
use drumline_store::Keep;
use url::Url;

use crate::books::StoreSettings;
pub use sources::Origin;
use sources::{QueueSection, Sources};
pub use table::{SETTINGS, Setting};
pub use values::{AllFailed, FifoStop, LogFormat, PermanentFailures};

/// What a process is set to.
///
/// ```
/// use drumline_host::Settings;
/// let environment = |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "http://127.0.0.1:9324/000000000000/jobs".to_owned());
/// let settings = Settings::read(&Default::default(), environment, None)?;
/// assert_eq!(settings.queues[0].concurrency.get(), 32);
/// # Ok::<(), drumline_host::Problems>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// The queues: at least one for a consumer, none or some for a Lambda function or a tool.
    pub queues: Vec<QueueSettings>,
    /// What holds for queues that are not among them.
    other_queues: QueueSettings,
    /// How long running handlers may go on after a SIGTERM.
    pub shutdown_grace: Duration,
    /// How long before a Lambda function's timeout its response is out.
    pub deadline_margin: Duration,
    /// What a failed FIFO message takes back with it in a Lambda batch.
    pub fifo_stop: FifoStop,
    /// What a Lambda batch is in which every message failed.
    pub all_failed: AllFailed,
    /// Whether a Lambda function writes metrics to its log.
    pub emf: bool,
    /// Where messages are forwarded to, where they are.
    pub forward_to: Option<Url>,
    /// Where claims and histories are kept.
    pub store: StoreSettings,
    /// Whether the consumer protects its ECS task from a scale-in while it has messages in hand.
    pub task_protection: bool,
    /// Where the process answers about itself; `None` for nowhere.
    pub http_addr: Option<SocketAddr>,
    /// How logs look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
    /// Every setting's text and where it came from, for `drumline config`.
    pub effective: Vec<Effective>,
}

/// What a queue is set to.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// Its URL.
    pub url: Url,
    /// Handlers running at once.
    pub concurrency: NonZeroUsize,
    /// The lease asked for; `None` takes the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// How long a receive waits.
    pub wait_time: Duration,
    /// How long one attempt may take.
    pub handler_timeout: Duration,
    /// The backoff.
    pub retry: RetryPolicy,
    /// The backoff of single job types.
    pub retry_by_type: HashMap<String, RetryPolicy>,
    /// After how many failed attempts a job has failed for good; `None` leaves that to the redrive policy.
    pub max_attempts: Option<NonZeroU32>,
    /// Where permanent failures go.
    pub permanent_failures: PermanentFailures,
    /// What a message without a handler is.
    pub unknown_type: UnknownType,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The queue it is about; `None` for the whole process.
    pub queue: Option<String>,
    /// The setting's key.
    pub key: String,
    /// Its value, or nothing.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: Origin,
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which setting, and from where.
    pub place: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Problem {
    fn new(place: String, text: String) -> Self {
        Self { place, text }
    }
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{} with the settings:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.place, problem.text))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// All that is wrong in words, with what is wrong with the settings that `router`'s handlers have of their own.
    pub fn with_those_of(&self, router: impl FnOnce() -> Result<Router, String>) -> String {
        match router() {
            Ok(_) => self.to_string(),
            Err(more) => format!("{self}\nand with the handlers':\n  {more}"),
        }
    }
}

impl Settings {
    /// Reads the settings from the command line's flags (by key), the environment (by variable) and a file.
    pub fn read(
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        Self::read_for(Reading::Consumer, flags, environment, file)
    }

    /// Reads the settings of a command that needs no queue, or none of the settings': the queues are those that are given.
    pub fn read_for_tool(
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        Self::read_for(Reading::Tool, flags, environment, file)
    }

    /// Reads the settings of a Lambda function, whose queues need not be known: from the environment, and the file that it
    /// names.
    pub fn read_for_function(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        Self::read_for(Reading::Function, &BTreeMap::new(), environment, None)
    }

    /// The settings of the queue at `url`: its own, where it is given by account and name, else those of all queues.
    pub fn of_queue(&self, url: &Url) -> QueueSettings {
        let path = |url: &Url| -> Vec<String> {
            let parts = url.path().trim_end_matches('/').rsplit('/').take(2);
            parts.map(str::to_owned).collect()
        };
        let own = self.queues.iter().find(|queue| path(&queue.url) == path(url));
        own.cloned().unwrap_or_else(|| QueueSettings { url: url.clone(), ..self.other_queues.clone() })
    }

    fn read_for(
        reading: Reading,
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let file = file.map(PathBuf::from).or_else(|| environment("DRUMLINE_CONFIG").map(PathBuf::from));
        let table = file.and_then(|path| read_file(&path, &mut problems));
        let sources = Sources::read(flags, environment, table, &mut problems);
        let mut reader = Reader { reading, sources: &sources, problems, effective: Vec::new() };
        let settings = reader.settings();
        let (problems, effective) = (reader.problems, reader.effective);
        match settings {
            Some(settings) if problems.is_empty() => Ok(Self { effective, ..settings }),
            _ => Err(Problems(problems)),
        }
    }
}

fn read_file(path: &Path, problems: &mut Vec<Problem>) -> Option<toml::Table> {
    let mut problem = |text: String| problems.push(Problem::new(path.display().to_string(), text));
    let text =
        std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}"))).ok()?;
    text.parse().map_err(|error: toml::de::Error| problem(format!("is not TOML: {error}"))).ok()
}

/// Stands for the queue that was not given.
const NO_QUEUE: &str = "http://localhost/none";

/// Whose settings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Consumer,
    Function,
    Tool,
}

/// Understands texts one by one, and goes on after a bad one.
struct Reader<'a> {
    reading: Reading,
    sources: &'a Sources,
    problems: Vec<Problem>,
    effective: Vec<Effective>,
}

impl Reader<'_> {
    /// `None` only where a problem has been noted.
    fn settings(&mut self) -> Option<Settings> {
        let urls = self.queue_urls();
        let told = self.effective.len();
        let other_queues = self.queue(NO_QUEUE);
        if !urls.is_empty() {
            // What is in force for the given queues follows.
            self.effective.truncate(told);
        }
        let queues: Vec<Option<QueueSettings>> = urls.into_iter().map(|url| self.queue(&url)).collect();
        let shutdown_grace = self.get("shutdown_grace", None, values::positive_duration);
        let deadline_margin = self.get("deadline_margin", None, values::positive_duration);
        let fifo_stop = self.get("fifo_stop", None, values::fifo_stop);
        let all_failed = self.get("all_failed", None, values::all_failed);
        let emf = self.get("emf", None, values::on_or_off);
        let forward_to = self.get("forward_to", None, values::http_url);
        let store = self.store();
        let task_protection = self.get("task_protection", None, values::on_or_off);
        let http_addr = self.get("http_addr", None, values::address_or_off);
        let log_format = self.get("log_format", None, values::log_format);
        let log = self.get("log", None, values::log_filter);
        Some(Settings {
            queues: queues.into_iter().collect::<Option<_>>()?,
            other_queues: other_queues?,
            shutdown_grace: shutdown_grace?,
            deadline_margin: deadline_margin?,
            fifo_stop: fifo_stop?,
            all_failed: all_failed?,
            emf: emf?,
            forward_to,
            store: store?,
            task_protection: task_protection?,
            http_addr: http_addr?,
            log_format: log_format?,
            log: log?,
            effective: Vec::new(),
        })
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let location = self.get("store_url", None, values::store_url);
        let outage = self.get("store_outage", None, values::store_outage);
        let done = self.get("done_ttl", None, values::ttl);
        let history = self.get("history_ttl", None, values::ttl);
        let keep = Keep { done: done?, history: history? };
        Some(StoreSettings { location: location?, outage: outage?, keep })
    }

    /// The queues of the flag or the variable, else those of the file.
    fn queue_urls(&mut self) -> Vec<String> {
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
            if urls[..index].contains(url) {
                self.problems.push(Problem::new("queue_url".to_owned(), format!("{url} is given twice")));
            }
        }
        urls
    }

    fn queue(&mut self, url: &str) -> Option<QueueSettings> {
        let own = self.sources.queues.iter().find(|queue| queue.url == url);
        let section = own.map_or(Some((url, None)), |own| Some((url, Some(own))));
        let parsed = values::queue_url(url);
        if let Err(text) = &parsed {
            self.problems.push(Problem::new("queue_url".to_owned(), text.clone()));
        }
        let concurrency = self.get("concurrency", section, values::concurrency);
        let visibility_timeout = self.get("visibility_timeout", section, values::visibility_timeout);
        let wait_time = self.get("wait_time", section, values::wait_time);
        let handler_timeout = self.get("handler_timeout", section, values::positive_duration);
        let retry = self.get("retry", section, str::parse::<RetryPolicy>);
        let jitter = self.get("retry_jitter", section, values::jitter);
        let max_attempts = self.get("max_attempts", section, values::max_attempts);
        let permanent_failures = self.get("permanent_failures", section, values::permanent_failures);
        let unknown_type = self.get("unknown_type", section, values::unknown_type);
        let retry_by_type = self.retry_by_type(own);
        let jitter = jitter?;
        Some(QueueSettings {
            url: parsed.ok()?,
            concurrency: concurrency?,
            visibility_timeout,
            wait_time: wait_time?,
            handler_timeout: handler_timeout?,
            retry: retry?.with_jitter(jitter),
            retry_by_type: retry_by_type
                .into_iter()
                .map(|(name, policy)| (name, policy.with_jitter(jitter)))
                .collect(),
            max_attempts,
            permanent_failures: permanent_failures?,
            unknown_type: unknown_type?,
        })
    }

    fn retry_by_type(&mut self, own: Option<&QueueSection>) -> HashMap<String, RetryPolicy> {
        let mut policies = HashMap::new();
        for (job_type, text) in self.sources.retry_by_type(own) {
            match text.parse::<RetryPolicy>() {
                Ok(policy) => {
                    policies.insert(job_type, policy);
                }
                Err(error) => {
                    let problem = Problem::new(format!("retry_by_type.{job_type}"), error.to_string());
                    if !self.problems.contains(&problem) {
                        self.problems.push(problem);
                    }
                }
            }
        }
        policies
    }

    /// A setting's value; `None` where it has none, or where a problem has been noted.
    fn get<T, E: fmt::Display>(
        &mut self,
        key: &str,
        queue: Option<(&str, Option<&QueueSection>)>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let setting =
            SETTINGS.iter().find(|setting| setting.key == key).expect("asked for by its key in the table");
        let given = self.sources.get(setting, queue.and_then(|(_, section)| section));
        let (value, origin) = match given {
            Some((text, origin)) => (Some(text), origin),
            None if key == "visibility_timeout" => (None, Origin::Queue),
            None => (None, Origin::Default),
        };
        let place = format!("{} = {:?} ({origin})", setting.key, value.as_deref().unwrap_or_default());
        let result = value.as_deref().map(parse).transpose();
        let queue = queue.map(|(url, _)| url.to_owned());
        self.effective.push(Effective { queue, key: key.to_owned(), value, origin });
        result.unwrap_or_else(|error| {
            let problem = Problem::new(place, error.to_string());
            // What is wrong for all queues is told once.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
            None
        })
    }
}

#[cfg(test)]
mod tests;
