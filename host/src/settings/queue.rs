//! The settings of a queue, how they are read, and the policy by which its ledger decides.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::{
    DeadLetterPath, MAX_VISIBILITY, Percent, Policy, Polling, Priority, ReceiveLimit, RetryLimits, SlotRules,
    UnknownType,
};
use drumline::message::RequiredFields;
use url::Url;

use super::by_name::{
    EVENT_TYPES, HANDLER_TIMEOUT_BY_TYPE, MAX_ATTEMPTS_BY_TYPE, REQUIRE_BY_TYPE, RETRY_BY_TYPE, SCOPE_BY_TYPE,
};
use super::effective::Effective;
use super::origin::Origin;
use super::problem::Problem;
use super::reader::{ForQueue, Reader, place, setting};
use super::values::{self, PermanentFailures};
use crate::aws::{QueueFacts, is_fifo};
use crate::claims::StoreOutage;
use crate::gate::GateLimits;
use crate::shown::Shown;
use crate::waits::{possible_waits, receives};

/// The settings of a queue.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// Its URL.
    pub url: Url,
    /// Handlers running at once.
    pub concurrency: NonZeroUsize,
    /// Its weight beside other queues.
    pub weight: Option<NonZeroU32>,
    /// The age of its messages from which on it gets slots before others.
    pub max_age: Option<Duration>,
    /// Its priority beside other queues.
    pub priority: Priority,
    /// The lease asked for; `None` takes the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// The wait time of a receive.
    pub wait_time: Duration,
    /// The time limit of one attempt.
    pub handler_timeout: Duration,
    /// The time limits of one attempt of single job types.
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
    /// The destination of permanent failures.
    pub permanent_failures: PermanentFailures,
    /// The treatment of messages without a handler.
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
    /// The share of its slots that one tenant may have; `None` on a FIFO queue.
    pub tenant_share: Option<Percent>,
    /// When `/gate` asks producers to slow down, or refuses them.
    pub gate: GateLimits,
}

impl Reader<'_> {
    /// Returns `None` only if a problem has been noted.
    pub(super) fn queue(&mut self, url: &str) -> Option<QueueSettings> {
        let section = self.sources.queues.iter().find(|queue| is_same_queue(&queue.url, url));
        let queue = Some(ForQueue { url, section });
        let parsed = values::queue_url(url);
        if let Err(text) = &parsed {
            self.problems.push(Problem::new(self.place_of_queues(), text.clone()));
        }
        let concurrency = self.get("concurrency", queue, values::concurrency);
        let weight = self.get("weight", queue, values::weight);
        let max_age = self.get("max_age", queue, values::positive_duration);
        let priority = self.get("priority", queue, values::priority);
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
        let tenant_share = self.tenant_share(url, queue);
        let gate = self.gate(queue);
        let with_jitter = |policy: RetryPolicy| match jitter {
            Some(jitter) => policy.with_jitter(jitter),
            None => policy,
        };
        let retry = with_jitter(retry?);
        self.show_retries(url, &retry, max_attempts);
        Some(QueueSettings {
            url: parsed.ok()?,
            concurrency: concurrency?,
            weight,
            max_age,
            priority: priority?,
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
            tenant_share,
            gate: gate?,
        })
    }

    /// Returns `None` for a FIFO queue; a share of its own is a mistake there.
    fn tenant_share(&mut self, url: &str, queue: Option<ForQueue<'_>>) -> Option<Percent> {
        let share = self.get("tenant_share", queue, str::parse::<Percent>)?;
        if !is_fifo(url) {
            return Some(share);
        }
        let setting = setting("tenant_share");
        if let Some((text, origin @ Origin::QueueTable)) =
            self.sources.get(setting, queue.and_then(|queue| queue.section))
        {
            let text = place(setting, &text, &origin);
            let why =
                "a message group of a FIFO queue runs one job at a time, so it needs no share: remove it";
            self.problems.push(Problem::new(text, why.to_owned()));
        }
        None
    }

    /// Returns `None` only if a problem has been noted.
    fn gate(&mut self, queue: Option<ForQueue<'_>>) -> Option<GateLimits> {
        let limits = GateLimits::default();
        let depth = self.get("gate_depth", queue, |text| limits.with_depth_text(text));
        let age = self.get("gate_age", queue, |text| depth.unwrap_or(limits).with_age_text(text));
        depth.and(age)
    }

    /// The name that the operator has used to give the queues.
    pub(super) fn place_of_queues(&self) -> String {
        let setting = setting("queue_url");
        match self.sources.get(setting, None) {
            Some((_, Origin::Environment)) => setting.variable(),
            Some((_, Origin::Flag)) => format!("--{}", setting.flag()),
            None if !self.sources.queues.is_empty() => "[[queue]] url".to_owned(),
            _ => setting.key.to_owned(),
        }
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
}

/// Compares two texts by the queues that they name: one can be an ARN, the other a URL.
pub(super) fn is_same_queue(a: &str, b: &str) -> bool {
    let url = |text| values::queue_url(text).ok();
    a == b || url(a).is_some_and(|a| url(b) == Some(a))
}

impl QueueSettings {
    /// Returns the policy of the queue called `name`, whose claims are in a store with this policy for its outages.
    ///
    /// Without `facts`, leases are taken to outlast everything unless the settings say how long they are, and the queue to
    /// have a DLQ: a host that has not asked finds out later, with [`Ledger::set_lease`](drumline::core::Ledger::set_lease). The waits of
    /// `auto` are fitted to what is known.
    pub fn policy(&self, name: &str, outage: StoreOutage, facts: Option<&QueueFacts>) -> Policy {
        let dead_letter = match (facts, self.permanent_failures) {
            (Some(facts), _) if facts.is_unbounded() => DeadLetterPath::Nowhere,
            (_, PermanentFailures::Redrive) => DeadLetterPath::Redrive,
            (_, PermanentFailures::DeadLetter) => DeadLetterPath::Copy,
        };
        let limits = self.retry_limits(facts);
        let lease = self.visibility_timeout.or(facts.map(|facts| facts.visibility_timeout));
        Policy {
            fifo: is_fifo(name),
            concurrency: self.concurrency,
            handler_timeout: self.handler_timeout,
            handler_timeout_by_type: self.handler_timeout_by_type.clone(),
            retry: self.retry.clone().fitted(&limits),
            retry_by_type: self.retries_by_type(&limits),
            max_attempts: self.max_attempts,
            max_attempts_by_type: self.max_attempts_by_type.clone(),
            receives: limits.receives,
            claims: outage.claims(),
            unknown_type: self.unknown_type,
            dead_letter,
            tenant_share: self.tenant_share,
            polling: Some(Polling { wait_time: self.wait_time }),
            // A queue whose own timeout is 0 hides nothing; a lease has to be asked for all the same.
            ..Policy::new(lease.unwrap_or(MAX_VISIBILITY).max(Duration::from_secs(1)))
        }
    }

    /// Returns the rules by which it shares the slots of its process with other queues; of no effect unless one of them
    /// [has rules](Self::has_slot_rules).
    pub fn slot_rules(&self) -> SlotRules {
        SlotRules {
            weight: self.weight.unwrap_or(NonZeroU32::MIN),
            max_age: self.max_age,
            priority: self.priority,
        }
    }

    /// Returns true if it has a weight, or another rule that only matters beside other queues.
    pub fn has_slot_rules(&self) -> bool {
        self.weight.is_some() || self.slot_rules() != SlotRules::default()
    }

    /// Returns the limits of a queue that its retries have to fit; without `facts`, as of a queue that has not been asked.
    pub fn retry_limits(&self, facts: Option<&QueueFacts>) -> RetryLimits {
        let receives = facts.map(|facts| match &facts.redrive {
            Some(redrive) => receives(redrive.max_receive_count),
            None if facts.is_unbounded() => ReceiveLimit::Unlimited,
            None => ReceiveLimit::Unknown,
        });
        RetryLimits {
            receives: receives.unwrap_or_default(),
            max_attempts: self.max_attempts,
            retention: facts.map(|facts| facts.retention),
        }
    }

    /// Returns the retry policies of the job types that have their own, or an own number of attempts, fitted to a queue with these
    /// limits.
    pub(crate) fn retries_by_type(&self, limits: &RetryLimits) -> HashMap<String, RetryPolicy> {
        self.retry.fitted_by_type(limits, &self.retry_by_type, &self.max_attempts_by_type)
    }
}
