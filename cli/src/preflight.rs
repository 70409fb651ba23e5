//! Checks everything that a worker needs before it starts, with a verdict for each check. The requests touch no message.

use std::sync::Arc;

use drumline::run::NoopObserver;
use drumline_runtime::aws::{AwsQueue, Clients, QueueFacts, connect, url_by_arn};
use drumline_runtime::{
    PermanentFailures, QueueSettings, Service, Settings, SqsError, SqsErrorKind, forward_to,
};
use drumline_store::reach;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::service::make_router;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The check passed.
    Ok,
    /// The worker starts, but lacks something.
    Warning,
    /// The worker does not start, or cannot settle messages.
    Failed,
    /// No request can check this without touching a message.
    NotChecked,
}

impl Verdict {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::NotChecked => "not checked",
        }
    }
}

/// A check and its result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// The subject of the check.
    #[serde(rename = "check")]
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// The finding, and the remedy if there is one.
    pub(crate) detail: String,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name, verdict, detail: detail.into() }
    }
}

/// The results for a queue, and the facts that further checks need.
pub(crate) struct Preflight {
    pub(crate) checks: Vec<Check>,
    /// The clients and the queue's facts, or the reason why SQS did not return them.
    #[cfg_attr(not(feature = "doctor"), allow(dead_code, reason = "only `doctor` asks further"))]
    pub(crate) found: Result<(Clients, QueueFacts), SqsError>,
}

/// Checks what is independent of queues: the store, and the application or the handlers of `service`.
pub(crate) async fn check_process(settings: &Settings, service: Service, handlers: &Handle) -> Vec<Check> {
    let location = &settings.store.location;
    let store = match reach(location).await {
        Ok(()) => Check::new("store", Verdict::Ok, location.to_string()),
        Err(error) => Check::new("store", Verdict::Failed, error.to_string()),
    };
    let Some(target) = &settings.forward_to else {
        let handlers = match make_router(service, handlers).await {
            Ok(router) => match router.check() {
                Ok(()) => Check::new("handlers", Verdict::Ok, "those of this program"),
                Err(error) => Check::new("handlers", Verdict::Failed, error.to_string()),
            },
            Err(problem) => Check::new("handlers", Verdict::Failed, problem),
        };
        return vec![store, handlers];
    };
    let trouble = match forward_to(target, &settings.forward) {
        Ok(forward) => {
            forward.target.check().await;
            forward.target.trouble()
        }
        Err(problem) => Some(problem),
    };
    let application = match trouble {
        None => Check::new("forward_to", Verdict::Ok, target.to_string()),
        Some(reason) => Check::new(
            "forward_to",
            Verdict::Warning,
            format!("{target}: {reason}; a worker receives nothing before the application answers"),
        ),
    };
    vec![store, application]
}

/// Checks a queue: endpoint, region, credentials, the queue itself, its DLQ, and the permissions on it.
///
/// # Errors
///
/// Returns an error text for the user if a setting is invalid.
pub(crate) async fn check_queue(settings: &QueueSettings) -> Result<Preflight, String> {
    let clients = connect(&settings.url, settings.wait_time).await?;
    let region = clients.config.region().map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut checks =
        vec![Check::new("endpoint", Verdict::Ok, &*clients.host), Check::new("region", Verdict::Ok, region)];
    checks.extend(clients.warnings.iter().map(|warning| Check::new("region", Verdict::Warning, warning)));
    let source = clients.credentials_source().await;
    let is_missing = source.is_none();
    checks.push(match source {
        Some(source) => Check::new("credentials", Verdict::Ok, format!("from {source}")),
        None => Check::new("credentials", Verdict::Failed, "no provider has any now"),
    });
    let queue = AwsQueue::new(clients.clone(), settings.url.to_string(), Arc::new(NoopObserver));
    let facts = match queue.describe().await {
        Ok(facts) => {
            let (arn, visibility) = (facts.arn.as_deref().unwrap_or("the queue"), facts.visibility_timeout);
            checks.push(Check::new(
                "queue",
                Verdict::Ok,
                format!("{arn}, visible again after {visibility:?}"),
            ));
            facts
        }
        Err(error) if error.is_access_denied() => {
            checks.push(Check::new("sqs:GetQueueAttributes", Verdict::Warning, error.text));
            QueueFacts::unreadable()
        }
        Err(error) => {
            // Without credentials, the error would be reported twice.
            if !is_missing {
                checks.push(Check::new("queue", Verdict::Failed, error.text.clone()));
            } else if let Some(credentials) = checks.last_mut() {
                credentials.detail.clone_from(&error.text);
            }
            return Ok(Preflight { checks, found: Err(error) });
        }
    };
    checks.push(dead_letter_queue(settings, &clients, &facts).await);
    let access = queue.access().await;
    for (check, result) in
        [("sqs:DeleteMessage", access.delete), ("sqs:ChangeMessageVisibility", access.change_visibility)]
    {
        checks.push(match result {
            Ok(()) => Check::new(check, Verdict::Ok, "permitted"),
            Err(error) => Check::new(check, Verdict::Failed, clients.in_context(error).await.text),
        });
    }
    checks.push(Check::new("sqs:ReceiveMessage", Verdict::NotChecked, "a receive would cost messages one"));
    if settings.permanent_failures == PermanentFailures::DeadLetter {
        let detail = "on the DLQ, for permanent_failures = dead-letter: a message would stay there";
        checks.push(Check::new("sqs:SendMessage", Verdict::NotChecked, detail));
    }
    Ok(Preflight { checks, found: Ok((clients, facts)) })
}

async fn dead_letter_queue(settings: &QueueSettings, clients: &Clients, facts: &QueueFacts) -> Check {
    let check = |verdict, detail: String| Check::new("dead_letter_queue", verdict, detail);
    let Some(redrive) = &facts.redrive else {
        return match (facts.redrive_is_known, settings.allow_unbounded) {
            (false, _) => check(Verdict::NotChecked, "the redrive policy cannot be read".to_owned()),
            (true, true) => check(Verdict::Warning, "none, which allow_unbounded permits".to_owned()),
            (true, false) => check(
                Verdict::Failed,
                "none: give the queue a redrive policy, or set allow_unbounded".to_owned(),
            ),
        };
    };
    let text = format!("{} after {} receives", redrive.dead_letter_target_arn, redrive.max_receive_count);
    match url_by_arn(&clients.calls, &redrive.dead_letter_target_arn).await {
        Ok(_) => check(Verdict::Ok, text),
        Err(error) if error.kind == SqsErrorKind::NoQueue => check(
            Verdict::Failed,
            format!("{text}, which does not exist: jobs that fail permanently stay in the queue"),
        ),
        // `redrive` needs no access to the DLQ: SQS moves the messages.
        Err(error) if settings.permanent_failures == PermanentFailures::Redrive => {
            check(Verdict::Warning, format!("{text}, whose depth is unknown: {}", error.text))
        }
        Err(error) => check(Verdict::Failed, format!("{text}: {}", error.text)),
    }
}
