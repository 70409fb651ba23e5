//! The webhook for dead jobs: a hook that an application has without any code of its own in the worker.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use bytes::Bytes;
use drumline::Router;
use drumline::run::{DeadJob, DeadJobAttempt, DeadJobHook};
use drumline_aws::{Environment, connector_of, send};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Uri};
use serde_json::{Value, json};
use url::Url;

use crate::clock::rfc3339;

/// The time for the answer to one request: a little less than a hook has, so that the error says what is missing.
const PATIENCE: Duration = Duration::from_secs(9);

/// The webhook that receives a `POST` for each dead job.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadJobWebhook {
    uri: Uri,
    headers: HeaderMap,
}

impl DeadJobWebhook {
    /// Reads the URL of a webhook.
    ///
    /// # Errors
    /// If it is none, in words that do not show it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_address = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
        let url = Url::parse(text).ok().filter(is_address);
        let url = url.ok_or("must be an http:// or https:// URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no user and no password: set dead_job_webhook_headers".to_owned());
        }
        let uri = url.as_str().parse().map_err(|_| "must be an http:// or https:// URL")?;
        Ok(Self { uri, headers: HeaderMap::new() })
    }

    /// Adds headers to each request. They replace those of the same name.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// Returns this router with a hook that calls the router's own hook, if it has one, and then the webhook.
    #[must_use]
    pub fn added_to(&self, router: Router) -> Router {
        let hook = self.hook(router.dead_job_hook().cloned());
        router.on_dead_job(move |job| {
            let hook = hook.clone();
            async move { hook.call(job).await }
        })
    }

    /// Returns a hook that calls another hook first, if there is one, and then the webhook.
    pub fn hook(&self, first: Option<DeadJobHook>) -> DeadJobHook {
        let client = Arc::new(Client { webhook: self.clone(), connector: OnceLock::new() });
        DeadJobHook::new(move |job: DeadJob| {
            let (first, client) = (first.clone(), Arc::clone(&client));
            async move {
                if let Some(first) = first {
                    first.call(job.clone()).await?;
                }
                client.post(&job).await
            }
        })
    }
}

/// Without the path and the headers, which may be secrets.
impl fmt::Debug for DeadJobWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadJobWebhook({})", self.uri.host().unwrap_or_default())
    }
}

struct Client {
    webhook: DeadJobWebhook,
    connector: OnceLock<SharedHttpConnector>,
}

impl Client {
    /// Sends one request. An error names the host and not the path, which may be a secret.
    async fn post(&self, job: &DeadJob) -> Result<(), String> {
        let key = HeaderValue::try_from(&job.key).map_err(|error| error.to_string())?;
        let mut request = Request::post(&self.webhook.uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("drumline/", env!("CARGO_PKG_VERSION")))
            .header("idempotency-key", key)
            .body(Bytes::from(document(job).to_string()))
            .map_err(|error| error.to_string())?;
        for (name, value) in &self.webhook.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let response = send(&self.connector()?, request, PATIENCE).await?;
        let (status, host) = (response.status(), self.webhook.uri.host().unwrap_or_default());
        if status.is_success() { Ok(()) } else { Err(format!("{host}: it answers {status}")) }
    }

    /// Returns the way to the network of the process. It is made once, since it reads the trusted certificates.
    fn connector(&self) -> Result<SharedHttpConnector, String> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let connector = connector_of(&Environment::of_process())?;
        Ok(self.connector.get_or_init(|| connector).clone())
    }
}

/// The body of the request. Its fields are stable.
fn document(job: &DeadJob) -> Value {
    let message = &job.message;
    let sent_at = message.sent_at.and_then(|at| u64::try_from(at.as_millis()).ok()).map(rfc3339);
    let attempt = |attempt: &DeadJobAttempt| {
        json!({
            "attempt": attempt.attempt,
            "at": rfc3339(attempt.at_ms),
            "worker": attempt.worker,
            "class": attempt.class,
            "reason": attempt.reason,
            "log": attempt.log,
        })
    };
    json!({
        "key": job.key,
        "queue": job.queue,
        "type": job.job_type,
        "jobId": job.job_id,
        "messageId": message.id,
        "correlationId": job.correlation_id,
        "class": job.class,
        "reason": job.reason,
        "receives": message.receive_count,
        "sentAt": sent_at,
        "body": message.body,
        "history": job.history.iter().map(attempt).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use axum::http::StatusCode;
    use axum::routing::post;
    use drumline::message::Message;
    use tokio::net::TcpListener;

    use super::*;

    type Calls = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

    async fn server(status: StatusCode) -> (DeadJobWebhook, Calls) {
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let answer = async move |headers: HeaderMap, body: String| {
            seen.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
            status
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/s3cret", post(answer));
        tokio::spawn(async { axum::serve(listener, router).await });
        (DeadJobWebhook::parse(&url).unwrap(), calls)
    }

    fn job() -> DeadJob {
        let message = Message { id: "m-1".into(), body: "{}".to_owned(), ..Message::default() };
        let mut job = DeadJob::new("jobs", Arc::new(message), "m-1", "no route");
        let attempt = ("w-1".to_owned(), "retry_asked".to_owned(), "no route".to_owned());
        job.history = vec![DeadJobAttempt::new(1, 1_000, attempt.0, attempt.1, attempt.2)];
        job
    }

    #[tokio::test]
    async fn it_receives_the_job_after_the_hook_of_the_router() {
        let (webhook, calls) = server(StatusCode::ACCEPTED).await;
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer t"));
        let own = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&own);
        let router = Router::new().on_dead_job(move |_| {
            let before = counted.fetch_add(1, SeqCst);
            async move { if before == 0 { Err("not yet") } else { Ok(()) } }
        });
        let router = webhook.with_headers(headers).added_to(router);
        let hook = router.dead_job_hook().unwrap();
        assert_eq!(hook.call(job()).await, Err("not yet".to_owned()));
        assert!(calls.lock().unwrap().is_empty(), "the hook of the router comes first");
        hook.call(job()).await.unwrap();
        let (headers, body) = calls.lock().unwrap().pop().unwrap();
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header("idempotency-key"), header("authorization")),
            ("dead:m-1".into(), "Bearer t".into())
        );
        assert_eq!(header("content-type"), "application/json");
        let expected = json!({
            "key": "dead:m-1", "queue": "jobs", "type": null, "jobId": "m-1", "messageId": "m-1",
            "correlationId": "m-1", "class": null, "reason": "no route", "receives": 0, "sentAt": null, "body": "{}",
            "history": [{
                "attempt": 1, "at": rfc3339(1_000), "worker": "w-1", "class": "retry_asked", "reason": "no route", "log": [],
            }],
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn an_error_does_not_show_the_path() {
        let (webhook, _) = server(StatusCode::SERVICE_UNAVAILABLE).await;
        let error = webhook.added_to(Router::new()).dead_job_hook().unwrap().call(job()).await.unwrap_err();
        assert_eq!(error, "127.0.0.1: it answers 503 Service Unavailable");
        assert_eq!(format!("{webhook:?}"), "DeadJobWebhook(127.0.0.1)");
        for text in
            ["s3cret", "ftp://host/s3cret", "https://s3cret@host/", "https://u:s3cret@host/", "unix:/s3cret"]
        {
            assert!(!DeadJobWebhook::parse(text).unwrap_err().contains("s3cret"), "{text}");
        }
    }
}
