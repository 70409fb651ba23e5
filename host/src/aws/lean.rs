//! The lean client, and the choice of the client that makes the requests of the hot path.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use drumline::core::{Entry, Replies, SqsErrorKind, VisibilityEntry};
use drumline::message::Message;
use drumline::run::{Event, NoopObserver, Observer};
use drumline_aws::{Environment, is_behind_proxy};
use drumline_sqs::{
    BatchAnswer, ClientConfig, DeleteEntry, ErrorKind, ReceiveRequest, Received, RequestError, SendEntry,
    SqsClient, VisibilityEntry as Visibility,
};
use tracing::{info, warn};
use url::Url;

use super::errors::explain_lean;
use super::time_limits::{CALL_TIMEOUT, RECEIVE_SLACK};
use super::translate;
use crate::sqs::SqsError;

/// The client that makes the requests of the hot path: receives, deletes, changes of visibility and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SqsClientChoice {
    /// The lean client, and the SDK's after the first request that only the lean one fails to make.
    #[default]
    Auto,
    /// The lean client only.
    Lean,
    /// The SDK's client only.
    Sdk,
}

/// The client of the hot path, for a whole process: if the SDK's takes over for one queue, it does so for all.
#[derive(Clone)]
pub struct SqsClientSwitch {
    choice: SqsClientChoice,
    /// True after the SDK's client has taken over.
    is_off: Arc<AtomicBool>,
    observer: Arc<dyn Observer>,
}

impl SqsClientSwitch {
    /// Makes a switch that is set to this client.
    pub fn new(choice: SqsClientChoice) -> Self {
        Self { choice, is_off: Arc::default(), observer: Arc::new(NoopObserver) }
    }

    /// Sends `observer` an [`Event::SqsClientReplaced`] if the SDK's client takes over, whether a queue's or a producer's
    /// request is the reason.
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }
}

impl Default for SqsClientSwitch {
    fn default() -> Self {
        Self::new(SqsClientChoice::default())
    }
}

impl fmt::Debug for SqsClientSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsClientSwitch")
            .field("choice", &self.choice)
            .field("is_off", &self.is_off)
            .finish_non_exhaustive()
    }
}

/// The codes for a signature that SQS does not accept. The SDK makes the same signature, unless the lean client has a fault.
const OF_SIGNATURES: [&str; 3] =
    ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"];

/// The lean client of a queue. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lean {
    client: Arc<SqsClient>,
    switch: SqsClientSwitch,
}

impl Lean {
    /// Returns the lean client for an endpoint, if it is chosen and can be used.
    pub(super) fn of(endpoint: &Url, config: &SdkConfig, switch: &SqsClientSwitch) -> Option<Self> {
        if switch.choice == SqsClientChoice::Sdk {
            return None;
        }
        let environment = Environment::of_process();
        if is_behind_proxy(&environment, endpoint) {
            info!("requests go through a proxy: they are made by the SDK's client");
            return None;
        }
        let client = ClientConfig {
            endpoint: endpoint.as_str().to_owned(),
            region: config.region()?.to_string(),
            credentials: config.credentials_provider()?,
            user_agent: concat!("drumline/", env!("CARGO_PKG_VERSION")),
        };
        match SqsClient::new(client, &environment) {
            Ok(client) => Some(Self { client: Arc::new(client), switch: switch.clone() }),
            Err(problem) => {
                warn!(problem, "the lean SQS client cannot be used: requests are made by the SDK's");
                None
            }
        }
    }

    /// Returns true while it makes the requests.
    pub(super) fn is_on(&self) -> bool {
        !self.switch.is_off.load(Ordering::Relaxed)
    }

    /// Returns true if the SDK's client should repeat a request that failed here, because the lean client's own fault may be
    /// the reason.
    fn may_be_own(&self, error: &RequestError) -> bool {
        let is_own = matches!(error.kind, ErrorKind::Undecodable)
            || error.code().is_some_and(|code| OF_SIGNATURES.contains(&code));
        self.switch.choice == SqsClientChoice::Auto && is_own
    }

    /// Lets the SDK's client make all requests from now on.
    pub(super) fn turn_off(&self, error: &SqsError) {
        if !self.switch.is_off.swap(true, Ordering::Relaxed) {
            warn!(%error, "the SDK's SQS client takes over: the lean one has failed");
            self.switch.observer.observe(&Event::SqsClientReplaced);
        }
    }

    pub(super) async fn receive(
        &self,
        queue_url: &str,
        request: &ReceiveRequest<'_>,
    ) -> Result<Vec<Message>, Failed> {
        let limit = Duration::from_secs(request.wait_secs) + RECEIVE_SLACK;
        match self.client.receive(queue_url, request, limit).await {
            Ok(Received { messages, undecodable }) => {
                for message in undecodable {
                    let (message_id, reason) = (message.message_id.as_deref(), &message.reason);
                    warn!(
                        queue_url,
                        message_id,
                        reason,
                        "message not decoded: it is redelivered after its visibility timeout"
                    );
                }
                Ok(messages)
            }
            Err(error) => Err(self.failed("ReceiveMessage", &error)),
        }
    }

    pub(super) async fn delete(&self, queue_url: &str, entries: &[Entry]) -> Result<Replies, Failed> {
        let shown: Vec<_> = entries.iter().map(|entry| DeleteEntry { receipt: &entry.receipt }).collect();
        match self.client.delete(queue_url, &shown, CALL_TIMEOUT).await {
            Ok(answer) => Ok(replies(entries.len(), &answer)),
            Err(error) => Err(self.failed("DeleteMessageBatch", &error)),
        }
    }

    pub(super) async fn change_visibility(
        &self,
        queue_url: &str,
        entries: &[VisibilityEntry],
    ) -> Result<Replies, Failed> {
        let shown = entries.iter().map(|entry| Visibility {
            receipt: &entry.receipt,
            visibility_secs: entry.visibility_secs.into(),
        });
        match self.client.change_visibility(queue_url, &shown.collect::<Vec<_>>(), CALL_TIMEOUT).await {
            Ok(answer) => Ok(replies(entries.len(), &answer)),
            Err(error) => Err(self.failed("ChangeMessageVisibilityBatch", &error)),
        }
    }

    pub(super) async fn send(
        &self,
        queue_url: &str,
        entries: &[SendEntry<'_>],
    ) -> Result<BatchAnswer, Failed> {
        match self.client.send(queue_url, entries, CALL_TIMEOUT).await {
            Ok(answer) => Ok(answer),
            Err(error) if matches!(error.kind, ErrorKind::Undecodable) => {
                let error = explain_lean("SendMessageBatch", &error);
                if self.switch.choice == SqsClientChoice::Auto {
                    self.turn_off(&error);
                }
                // SQS has accepted the batch: the sender decides whether to send it again.
                let error = SqsError { kind: SqsErrorKind::Unreachable, is_in_doubt: true, ..error };
                Err(Failed { error, may_be_own: false })
            }
            Err(error) => Err(self.failed("SendMessageBatch", &error)),
        }
    }

    fn failed(&self, action: &str, error: &RequestError) -> Failed {
        Failed { may_be_own: self.may_be_own(error), error: explain_lean(action, error) }
    }
}

/// A request that the lean client could not make.
pub(super) struct Failed {
    pub(super) error: SqsError,
    /// True if a fault of the lean client may be the reason, so that the SDK's should repeat the request.
    pub(super) may_be_own: bool,
}

fn replies(count: usize, answer: &BatchAnswer) -> Replies {
    let successful = answer.successful.iter().map(|entry| entry.id.as_str());
    let failed = answer
        .failed
        .iter()
        .map(|entry| (entry.id.as_str(), translate::entry_error(&entry.code, entry.message.as_deref())));
    translate::in_order(count, successful, failed)
}
