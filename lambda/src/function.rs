//! The function: its state between invocations, and the handling of one invocation.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::batch::{Batch, BatchContext};
use crate::deadline::Deadline;
use crate::emf::Emf;
use crate::event::{Event, Record};
use crate::queue::KnownQueue;
use crate::source::Source;
use crate::telemetry::Telemetry;
use aws_lambda_events::event::sqs::SqsBatchResponse;
use drumline::Router;
use drumline::core::Limits;
use drumline::message::Message;
use drumline::run::{InvalidRouter, NoopObserver, Observer};
use drumline_producer::NextJobProducer;
use drumline_runtime::Store;
use drumline_runtime::aws::{SqsClientSwitch, is_fifo};
use drumline_runtime::{
    AllFailed, ClaimStoreClient, LimitWatch, Logs, Problems, Refill, Settings, default_scope, intake,
};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::{Instrument, error, info_span};

/// The response of a function: the IDs of the messages to retry.
pub type Response = SqsBatchResponse;

/// The scope of records without a queue, as in events made by hand.
const UNKNOWN_SCOPE: &str = "unknown";

/// The maximum number of queues whose state is kept. A function has one or two queues; only events made by hand have more.
const MAX_QUEUES: usize = 100;

/// The state that lives as long as the process. Several invocations can use it at once, and it contains nothing that belongs to
/// one of them.
pub struct Function {
    settings: Settings,
    common: BatchContext,
    queues: Mutex<HashMap<String, Arc<KnownQueue>>>,
    /// Counts of the process, such as requests to the store. The next invocation that ends writes them with its own.
    of_process: Arc<Emf>,
    /// The observer that counts them, if they are written or exported.
    observer: Arc<dyn Observer>,
    sqs_client: SqsClientSwitch,
    /// Checked after each invocation, because the process is frozen in between.
    limit_watch: Mutex<LimitWatch>,
    is_cold: AtomicBool,
    /// Leases the tokens of shared rates. It is frozen together with the process.
    refill: OnceLock<Option<Refill>>,
}

/// The parts of Lambda's invocation that the function uses.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Its ID, for logs.
    pub request_id: String,
    /// The time at which Lambda ends it, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// The X-Ray trace that it belongs to.
    pub xray_trace_id: Option<String>,
}

/// An error that failed a whole invocation. No message is settled, so SQS may redeliver all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationError {
    /// A short name that alarms and retry rules match on.
    pub kind: &'static str,
    /// The description of the error.
    pub text: String,
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

impl std::error::Error for InvocationError {}

impl Function {
    /// Returns a function with these handlers, which run on the runtime `handlers`.
    pub fn new(settings: Settings, router: Router, handlers: Handle) -> Self {
        settings.log_warnings(&router);
        let router = match &settings.dead_job_webhook {
            Some(webhook) => webhook.added_to(router),
            None => router,
        };
        let telemetry = Telemetry::start(settings.trace_parent);
        let of_process = Arc::new(Emf::default());
        let observer: Arc<dyn Observer> =
            if settings.emf || telemetry.has_metrics() { of_process.clone() } else { Arc::new(NoopObserver) };
        let claim_store =
            ClaimStoreClient::open_lazily(&settings.store, Arc::clone(&observer), handlers.clone());
        let store_outage = settings.store.outage;
        let sqs_client = SqsClientSwitch::new(settings.sqs_client).observed_by(Arc::clone(&observer));
        let common = BatchContext {
            router: Arc::new(router),
            handlers,
            fifo_stop: settings.fifo_stop,
            claim_store,
            next_jobs: Arc::new(NextJobProducer::new(&settings, None, &sqs_client)),
            store_outage,
            limits: Limits::new(settings.limits.clone()),
            telemetry,
        };
        let limit_watch = Mutex::new(LimitWatch::new(common.limits.clone()));
        let (queues, is_cold, refill) = (Mutex::default(), AtomicBool::new(true), OnceLock::new());
        Self { settings, common, queues, of_process, observer, sqs_client, limit_watch, is_cold, refill }
    }

    /// Keeps claims and histories in the program's store.
    ///
    /// # Errors
    /// If the settings name a store too (`store_url`).
    pub fn store(self, store: Arc<dyn Store>) -> Result<Self, Problems> {
        let settings = self.settings.with_store(store)?;
        let (observer, handlers) = (Arc::clone(&self.observer), self.common.handlers.clone());
        let claim_store = ClaimStoreClient::open_lazily(&settings.store, observer, handlers);
        let common = BatchContext { claim_store, ..self.common };
        Ok(Self { settings, common, ..self })
    }

    /// Handles one event.
    ///
    /// # Errors
    /// If the event is not an SQS event, if a record that cannot be listed has failed, or if all messages have failed and the
    /// settings require an error in that case.
    pub async fn handle(&self, event: Event, invocation: Invocation) -> Result<Response, InvocationError> {
        // Started inside the runtime, and with the store that is set by now.
        self.refill.get_or_init(|| Refill::start(&self.common.limits, &self.common.claim_store));
        let begun = Instant::now();
        let span = info_span!(
            "invocation",
            request_id = invocation.request_id,
            cold_start = self.is_cold.swap(false, Ordering::Relaxed),
            xray_trace_id = invocation.xray_trace_id,
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline_at = Duration::from_millis(invocation.deadline_ms);
        let deadline = Deadline::of(deadline_at, now, self.settings.deadline_margin);
        async {
            let result = Box::pin(self.answer(event, begun, deadline)).await;
            if let Err(failed) = &result {
                error!(kind = failed.kind, "{}", failed.text);
            }
            result
        }
        .instrument(span)
        .await
    }

    async fn answer(
        &self,
        event: Event,
        begun: Instant,
        deadline: Deadline,
    ) -> Result<Response, InvocationError> {
        let invalid = |error: InvalidRouter| InvocationError { kind: "Settings", text: error.to_string() };
        self.common.router.check().map_err(invalid)?;
        let not_sqs = |text| InvocationError { kind: "NotAnSqsEvent", text };
        let records = event.into_records().map_err(not_sqs)?;
        let emf = Arc::new(Emf::default());
        let time = Time { begun, deadline };
        let result = self.run_all(records, time, &emf).await;
        self.limit_watch.lock().unwrap_or_else(PoisonError::into_inner).look(Instant::now().into_std());
        if self.counts() {
            emf.absorb(&self.of_process);
            emf.add_cost(self.settings.sqs_price);
            self.common.telemetry.count(&emf);
        }
        if self.settings.emf {
            emf.print();
        }
        let left = (begun + deadline.end).saturating_duration_since(Instant::now());
        self.common.telemetry.flush(left).await;
        result
    }

    /// Returns true if metrics are written to the log or exported.
    fn counts(&self) -> bool {
        self.settings.emf || self.common.telemetry.has_metrics()
    }

    async fn run_all(
        &self,
        records: Vec<Record>,
        time: Time,
        emf: &Arc<Emf>,
    ) -> Result<Response, InvocationError> {
        let (named, without_message_id): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| !record.message.id.is_empty());
        // Run first, because only a failed invocation can report their failure.
        for (arn, messages) in by_queue(without_message_id) {
            self.run_nameless(arn.as_deref(), messages, time, emf).await?;
        }
        let ids = distinct_ids(&named);
        let mut done = HashSet::new();
        for (arn, messages) in by_queue(named) {
            done.extend(self.run(arn.as_deref(), messages, time, emf).await?);
        }
        let failed: Vec<String> = ids.iter().filter(|id| !done.contains(id.as_str())).cloned().collect();
        if self.settings.all_failed == AllFailed::Error && !failed.is_empty() && failed.len() == ids.len() {
            let text = match failed.len() {
                1 => "the only message of the batch failed and will be redelivered".to_owned(),
                count => format!("all {count} messages of the batch failed and will be redelivered"),
            };
            return Err(InvocationError { kind: "AllFailed", text });
        }
        let mut response = Response::default();
        response.set_failures(failed);
        Ok(response)
    }

    /// Runs records without an ID, as in events made by hand. They cannot be listed, and Lambda deletes messages that are not
    /// listed. If one of them fails, the whole batch must be redelivered, so no other message may have run before.
    async fn run_nameless(
        &self,
        arn: Option<&str>,
        mut messages: Vec<Message>,
        time: Time,
        emf: &Arc<Emf>,
    ) -> Result<(), InvocationError> {
        let count = messages.len();
        let cannot = |text: String| InvocationError { kind: "NoMessageId", text };
        if arn.is_some_and(is_fifo) {
            return Err(cannot(format!(
                "records of a FIFO queue without a messageId: {count}; no job was run"
            )));
        }
        for message in &mut messages {
            // Unique across processes, because handlers and applications use it to recognise completed work.
            message.id = format!("nameless-{:032x}", fastrand::u128(..)).into();
        }
        let done = self.run(arn, messages, time, emf).await?;
        if done.len() < count {
            let failed = count - done.len();
            return Err(cannot(format!(
                "records without a messageId that failed: {failed} of {count}; they cannot be listed, so the whole batch will be redelivered"
            )));
        }
        Ok(())
    }

    async fn run(
        &self,
        arn: Option<&str>,
        messages: Vec<Message>,
        time: Time,
        emf: &Arc<Emf>,
    ) -> Result<HashSet<Arc<str>>, InvocationError> {
        let queue = self.queue(arn);
        let mut observers = vec![Arc::clone(&queue.logs) as Arc<dyn Observer>];
        observers.extend(self.common.telemetry.observer());
        if self.counts() {
            let counts_tenants = self.settings.tenant_metrics && !is_fifo(&queue.name);
            let tenants = counts_tenants.then_some(&queue.tenants);
            let metrics = emf.for_queue(&queue.name, &queue.types, tenants);
            metrics.received(&messages);
            observers.push(Arc::new(metrics));
        }
        let observer = Arc::new(observers);
        let Time { begun, deadline } = time;
        let batch = Batch { common: self.common.clone(), queue, observer, begun, deadline };
        let invalid = |error: drumline::core::InvalidPolicy| InvocationError {
            kind: "Settings",
            text: error.to_string(),
        };
        batch.run(messages).await.map_err(invalid)
    }

    fn queue(&self, arn: Option<&str>) -> Arc<KnownQueue> {
        let arn = arn.unwrap_or_default();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(arn) {
            return Arc::clone(queue);
        }
        if queues.len() >= MAX_QUEUES {
            queues.clear();
        }
        let source = Source::of_arn(arn);
        let reachable = source.is_some();
        let source = source.unwrap_or_else(Source::unknown);
        let settings = self.settings.for_queue(&source.url).with_types_of(&self.common.router);
        // SQS reports the same text as the ARN to a consumer.
        let arn_of_queue = reachable.then_some(arn);
        let scope = default_scope(&settings, arn_of_queue, None).unwrap_or_else(|_| UNKNOWN_SCOPE.into());
        let intake = intake(&settings, scope, self.settings.legacy_records);
        let logs = Arc::new(Logs::new(Some(&self.common.claim_store)).with_job_log(self.settings.job_log));
        let payloads = self.settings.payloads.clone();
        let name = Arc::from(source.name);
        let sqs_client = reachable.then(|| self.sqs_client.clone());
        let queue = KnownQueue::new(name, settings, Arc::new(intake), logs, payloads, sqs_client);
        let queue = Arc::new(queue);
        queues.insert(arn.to_owned(), Arc::clone(&queue));
        queue
    }
}

/// The start of an invocation, and the division of its time.
#[derive(Debug, Clone, Copy)]
struct Time {
    begun: Instant,
    deadline: Deadline,
}

/// Returns the IDs in the order of the records. A message that was delivered twice in one batch is listed once.
fn distinct_ids(records: &[Record]) -> Vec<String> {
    let mut seen = HashSet::new();
    let ids = records.iter().map(|record| &*record.message.id);
    ids.filter(|id| seen.insert(*id)).map(str::to_owned).collect()
}

/// Groups the records by queue, in their order. A mapping has one queue; an event made by hand may have several.
fn by_queue(records: Vec<Record>) -> BTreeMap<Option<String>, Vec<Message>> {
    let mut parts: BTreeMap<Option<String>, Vec<Message>> = BTreeMap::new();
    for Record { queue_arn, message } in records {
        parts.entry(queue_arn).or_default().push(message);
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::{Context, Job};

    use super::*;

    #[derive(serde::Deserialize)]
    struct Twice {}

    impl Job for Twice {
        const TYPE: &'static str = "twice";
    }

    #[tokio::test]
    async fn a_function_with_two_handlers_of_one_type_runs_nothing() {
        let handler = |_: Context, _: Twice| async { Ok(()) };
        let router = Router::new().handle(handler).handle(handler);
        let settings = Settings::read_for_function(|_| None).unwrap();
        let function = Function::new(settings, router, Handle::current());
        let event = serde_json::from_str(r#"{"Records":[]}"#).unwrap();
        let error = Box::pin(function.handle(event, Invocation::default())).await.unwrap_err();
        assert_eq!(error.kind, "Settings");
        assert!(error.text.starts_with("job type twice: two handlers are registered"), "{}", error.text);
    }
}
