//! Forward mode: any application with HTTP becomes a worker, in any language.
//!
//! Every message is sent unchanged by `POST`, with the headers of [Elastic Beanstalk's
//! worker](https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features-managing-env-tiers.html), so that an
//! application written for that runs unchanged. The status decides about the job: 2xx is done; 429 is throttled; 408, 425 and
//! 5xx are retried (after `Retry-After`); 400, 410, 413, 415 and 422 are permanent; any other status is retried.
//! `X-Drumline-Reject` and `X-Drumline-Retry-After` decide explicitly. An application that is unhealthy as a whole pauses its
//! queues ([`TargetHealth`]), and uses up no attempts.

mod answer;
mod attempts;
mod connection;
mod delay;
mod error_text;
mod headers;
mod job_endpoint;
mod request;
mod target;
mod task_path;

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{CancelReason, is_out_of_resources};
use drumline::{Context, Failure, Router};
use drumline_store::SecretUrl;
use http::HeaderMap;
use tokio::time::Instant;

use crate::target::TargetHealth;
use answer::{Verdict, verdict};
pub use delay::read_delay;
pub use error_text::error_text;
pub(crate) use headers::read_headers;
use job_endpoint::JobEndpoint;
use target::Target;

/// The time for which a terminating application may still accept connections after it closed one, because its sockets are
/// closed one by one.
const DIES_WITHIN: Duration = Duration::from_millis(100);

/// Options of forward mode.
#[derive(Debug, Clone, Default)]
pub struct ForwardOptions {
    /// The path of the application's health check.
    pub health: Option<String>,
    /// Headers of every request. They replace those of the same name.
    pub headers: HeaderMap,
}

/// A router that forwards every message to an application, and the application's health.
pub struct Forward {
    /// The router.
    pub router: Router,
    /// The health of the application, for the host that pauses its queues.
    pub target: TargetHealth,
}

/// The application and its known state.
struct Application {
    target: Target,
    health: TargetHealth,
    jobs: JobEndpoint,
}

/// Returns a router that forwards every message to `target`.
///
/// # Errors
/// A text, if the address cannot be used, or if https is used and no certificate is trusted.
pub fn forward_to(target: &SecretUrl, options: &ForwardOptions) -> Result<Forward, String> {
    let target = Target::new(target, &options.headers)?;
    let path = options.health.as_deref().map(|path| target.path_check(path)).transpose()?;
    let health = TargetHealth::new(target.shown.clone(), Some(target.connection_check()), path);
    let application = Arc::new(Application { target, health: health.clone(), jobs: JobEndpoint::default() });
    let router = Router::passthrough(move |context| {
        let application = Arc::clone(&application);
        async move { application.forward(&context).await }
    });
    Ok(Forward { router, target: health })
}

impl Application {
    async fn forward(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        // Reports are accepted until the application has answered.
        let (attempt, job_url) = self.jobs.open(context).await.unzip();
        let request = request::request(&self.target, context, job_url.as_deref())?;
        tokio::select! {
            result = self.target.client.request(request) => match result {
                Ok(response) => {
                    drop(attempt);
                    self.answered(context, begun, verdict(response).await).await
                }
                Err(error) => Err(self.unanswered(context, &error).await),
            },
            // Dropping the exchange closes its connection, which asks the application to stop.
            reason = context.cancelled() => Err(self.cancelled(context, reason)),
        }
    }

    async fn answered(&self, context: &Context, begun: Instant, verdict: Verdict) -> Result<(), Failure> {
        match verdict {
            Verdict::Done => {
                self.health.answered(context.job_type(), begun);
                Ok(())
            }
            Verdict::Failed(failure) => {
                self.health.answered(context.job_type(), begun);
                Err(failure)
            }
            Verdict::Suspicious(failure) => Err(self.suspicious(context, failure).await),
        }
    }

    /// Returns a failure whose cause may be the application as a whole.
    async fn suspicious(&self, context: &Context, failure: Failure) -> Failure {
        let is_target = self.health.failed(context.job_type(), &context.message().id, failure.reason()).await;
        if is_target { Failure::target_unhealthy(failure) } else { failure }
    }

    async fn unanswered(&self, context: &Context, error: &hyper_util::client::legacy::Error) -> Failure {
        let reason = error_text(error);
        let text = format!("{}: {reason}", self.target.shown);
        // This process could open no connection, which is no evidence about the application.
        if is_out_of_resources(error) {
            return Failure::out_of_resources(text);
        }
        let unreachable = if error.is_connect() {
            Some(reason)
        } else {
            tokio::time::sleep(DIES_WITHIN).await;
            self.target.connector.check(&self.target.uri).await.err()
        };
        match unreachable {
            Some(reason) => {
                self.health.unreachable(&reason);
                Failure::target_unhealthy(text)
            }
            // It accepts connections, and closed this one: the message may be the cause.
            None => self.suspicious(context, Failure::retry(text)).await,
        }
    }

    fn cancelled(&self, context: &Context, reason: CancelReason) -> Failure {
        let text = match reason {
            CancelReason::TimedOut => format!("{}: no answer before the deadline", self.target.shown),
            _ => format!("cancelled ({reason:?}) before the application answered"),
        };
        if reason == CancelReason::TimedOut {
            self.health.record_failure(context.job_type(), &context.message().id, "no answer in time");
            if self.health.is_unhealthy() {
                return Failure::target_unhealthy(text);
            }
        }
        Failure::retry(text)
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
