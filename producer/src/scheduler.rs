//! EventBridge Scheduler, where jobs can wait for their time without an outbox. See its
//! [API](https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html).

mod request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_aws::{Environment, SignedApi};
use drumline_runtime::aws::queue_name;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;

use self::request::{Plan, body, region_of};
use crate::error::Refused;
use crate::later::NotKept;
use crate::pack::Outgoing;

/// The service's name in signatures and host names.
const SERVICE: &str = "scheduler";

/// The time limit of one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of attempts of a request. All have the same schedule name, so there is only one schedule.
const TRIES: u32 = 4;

/// The wait after the first attempt. It doubles.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// EventBridge Scheduler as the place where jobs wait for their time, for [`Producer::scheduler`](crate::Producer::scheduler):
/// an alternative to an outbox for programs without PostgreSQL and Redis. Cheap to clone.
///
/// Each job is a one-time schedule named by the job's id, which sends the message to the queue and is then deleted. The message
/// is sent within a minute after its time, which is rounded up to the second: EventBridge Scheduler is not more exact. The
/// queues must be in its region. Unique jobs need an outbox.
///
/// ```no_run
/// # fn example(producer: drumline_producer::Producer, config: &aws_config::SdkConfig) -> Result<(), String> {
/// use drumline_producer::EventBridgeScheduler;
///
/// let role = "arn:aws:iam::123456789012:role/scheduler-sends-jobs";
/// let dead_letters = "arn:aws:sqs:eu-west-1:123456789012:scheduler-dlq";
/// let scheduler = EventBridgeScheduler::new(config, role)?.group("jobs").dead_letter_queue(dead_letters);
/// let producer = producer.scheduler(scheduler);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EventBridgeScheduler {
    api: Arc<SignedApi>,
    plan: Plan,
}

impl EventBridgeScheduler {
    /// Uses EventBridge Scheduler in the region and with the credentials of `config`. It assumes `role_arn` to send to the
    /// queues: the role needs `sqs:SendMessage`, and this program needs `scheduler:CreateSchedule` and `iam:PassRole` for the
    /// role.
    ///
    /// # Errors
    ///
    /// Returns an error text if no region is known, if an AWS setting is invalid, or if the role is not an ARN.
    pub fn new(config: &SdkConfig, role_arn: impl Into<String>) -> Result<Self, String> {
        let role_arn = role_arn.into();
        let api = SignedApi::new(config, &Environment::of_process(), SERVICE, None)?;
        Ok(Self { api: Arc::new(api), plan: Plan::new(role_arn)? })
    }

    /// Puts the schedules into this group, which must exist. The default is the group `default`.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.plan.group = Some(name.into());
        self
    }

    /// Sets the standard queue, by its ARN, to which EventBridge Scheduler sends messages that it could not deliver within a
    /// day. Without this queue, such a job is lost.
    #[must_use]
    pub fn dead_letter_queue(mut self, arn: impl Into<String>) -> Self {
        self.plan.dead_letter_arn = Some(arn.into());
        self
    }

    /// Returns the request body that schedules a message, or the reason why it cannot be scheduled.
    pub(crate) fn scheduled(
        &self,
        outgoing: &Outgoing,
        queue_url: &str,
        due: SystemTime,
    ) -> Result<String, Refused> {
        let region = self.api.region();
        if let Some(other) = region_of(queue_url).filter(|of_queue| *of_queue != region) {
            return Err((
                "queue",
                format!(
                    "{} is in {other}, and EventBridge Scheduler in {region} sends to queues of its own region",
                    queue_name(queue_url)
                ),
            ));
        }
        body(&self.plan, outgoing, queue_url, due)
    }

    /// Creates a schedule. An existing schedule with this name is the same one.
    pub(crate) async fn create(&self, name: &str, body: &str) -> Result<(), NotKept> {
        let mut wait = TRY_AGAIN;
        let mut may_be_there = false;
        for attempt in 1..=TRIES {
            let problem = match self.create_once(name, body).await {
                Ok(answer) => match outcome(&answer) {
                    Outcome::Created => return Ok(()),
                    // An earlier attempt with a lost response may have created the schedule.
                    Outcome::Refused(text) | Outcome::Denied(text) if may_be_there => {
                        return Err(NotKept::InDoubt(text));
                    }
                    Outcome::Refused(text) => return Err(NotKept::Refused(text)),
                    Outcome::Denied(text) => return Err(NotKept::Unavailable(text)),
                    Outcome::Busy(text) => {
                        may_be_there |= answer.status().is_server_error();
                        text
                    }
                },
                Err(text) => {
                    may_be_there = true;
                    text
                }
            };
            if attempt == TRIES {
                let lost = if may_be_there { NotKept::InDoubt } else { NotKept::Unavailable };
                return Err(lost(problem));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        unreachable!("the last try returns")
    }

    async fn create_once(&self, name: &str, body: &str) -> Result<Response<Bytes>, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/schedules/{name}", self.api.endpoint()))
            .header("content-type", "application/json")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .map_err(|error| error.to_string())?;
        self.api.send(request, PATIENCE).await
    }
}

/// Two values are equal if they create the same schedules.
impl PartialEq for EventBridgeScheduler {
    fn eq(&self, other: &Self) -> bool {
        self.api.endpoint() == other.api.endpoint() && self.plan == other.plan
    }
}

impl Eq for EventBridgeScheduler {}

impl fmt::Debug for EventBridgeScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBridgeScheduler")
            .field("endpoint", &self.api.endpoint())
            .field("plan", &self.plan)
            .finish()
    }
}

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    /// The same request would be refused again.
    Refused(String),
    /// The request may be allowed later: a permission or a group is missing, or a quota is reached.
    Denied(String),
    /// A later attempt may succeed.
    Busy(String),
}

fn outcome(answer: &Response<Bytes>) -> Outcome {
    #[derive(Deserialize)]
    struct Words {
        #[serde(alias = "Message", default)]
        message: String,
    }
    let status = answer.status();
    if status.is_success() {
        return Outcome::Created;
    }
    let kind = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(':').next().unwrap_or_default();
    let words = serde_json::from_slice::<Words>(answer.body()).map(|words| words.message);
    let words = words.unwrap_or_default();
    let text = format!("EventBridge Scheduler answers {} {kind} {words}", status.as_u16());
    let text = text.trim_end().to_owned();
    match status {
        // The name is the job's id: an earlier attempt has created this schedule.
        StatusCode::CONFLICT => Outcome::Created,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Busy(text),
        _ if status.is_server_error() => Outcome::Busy(text),
        _ if kind.starts_with("Throttling") => Outcome::Busy(text),
        StatusCode::BAD_REQUEST if kind == "ValidationException" => Outcome::Refused(text),
        _ => Outcome::Denied(text),
    }
}
