//! The settings in force, of a process and of its queues.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::UnknownType;
use drumline::message::RequiredFields;
use drumline_store::{SecretText, SecretUrl};
use url::Url;

use super::origin::Origin;
use super::unknown::UnknownVariable;
use super::values::{AllFailed, FifoStop, LogFormat, PermanentFailures};
use crate::aws::{name_of, queue_name};
use crate::claims::StoreSettings;
use crate::forward::ForwardOptions;

/// What a process is set to.
///
/// ```
/// use drumline_runtime::Settings;
/// let environment = |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "http://127.0.0.1:9324/000000000000/jobs".to_owned());
/// let settings = Settings::read(&Default::default(), environment, None)?;
/// assert_eq!(settings.queues[0].concurrency.get(), 32);
/// # Ok::<(), drumline_runtime::Problems>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// The queues: at least one for a consumer, none or some for a Lambda function or a tool.
    pub queues: Vec<QueueSettings>,
    /// What holds for queues that are not among them.
    pub(super) other_queues: QueueSettings,
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
    /// The application that messages are forwarded to, in forward mode.
    pub forward_to: Option<SecretUrl>,
    /// Options of forward mode.
    pub forward: ForwardOptions,
    /// Where claims and histories are kept.
    pub store: StoreSettings,
    /// Records of version 0.1 are looked up under their old keys.
    pub legacy_records: bool,
    /// Whether the consumer protects its ECS task from a scale-in while it has messages in hand.
    pub task_protection: bool,
    /// Where the process answers about itself; `None` for nowhere.
    pub http_addr: Option<SocketAddr>,
    /// Who reads about jobs at `http_addr`.
    pub http_access: HttpAccess,
    /// How logs look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
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
    /// How long one attempt of single job types may take.
    pub handler_timeout_by_type: HashMap<String, Duration>,
    /// The backoff.
    pub retry: RetryPolicy,
    /// The backoff of single job types.
    pub retry_by_type: HashMap<String, RetryPolicy>,
    /// After how many failed attempts a job has failed for good; `None` leaves that to the redrive policy.
    pub max_attempts: Option<NonZeroU32>,
    /// The same for single job types.
    pub max_attempts_by_type: HashMap<String, NonZeroU32>,
    /// Allows a queue without a DLQ: what fails stays in it until its retention ends.
    pub allow_unbounded: bool,
    /// Where permanent failures go.
    pub permanent_failures: PermanentFailures,
    /// What a message without a handler is.
    pub unknown_type: UnknownType,
    /// The job type of a body that names none and comes without the attribute `messageType`.
    pub default_type: Option<Arc<str>>,
    /// The job types of SNS, EventBridge and S3 events, by topic (ARN or name), detail-type or source, or bucket.
    pub event_types: HashMap<String, Arc<str>>,
    /// The scope within which a job's identity holds; `None` for the queue's ARN.
    pub scope: Option<Arc<str>>,
    /// The scopes of single job types. They override `scope`.
    pub scope_by_type: HashMap<String, Arc<str>>,
    /// The fields that a message must have.
    pub require: RequiredFields,
    /// The fields that messages of single job types must have, instead of `require`.
    pub require_by_type: HashMap<String, RequiredFields>,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The queue it is about; `None` for the whole process.
    pub queue: Option<String>,
    /// The setting's key, or an entry of a table, such as `retry_by_type.email.send`.
    pub key: String,
    /// Its value without secrets, or nothing.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: Origin,
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
