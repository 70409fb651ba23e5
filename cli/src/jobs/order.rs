//! `drumline jobs retry` and `jobs cancel`: give an order about one job to the workers that may have it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_consumer::control::{JobReply, JobRequest, JobResultKind, JobVerb, job_reply, put_job_request};
use drumline_consumer::job_view::{JobView, ShownState};
use drumline_runtime::{Environment, SecretText, program};
use drumline_store::{Store, StoreError};
use tokio::time::{Instant, sleep};

use super::lookup::JobArgs;
use crate::ctl::{Who, refusal_of};
use crate::format::{note, now_ms, one_line};
use crate::job_lookup::Histories;
use crate::output::{Output, print};
use crate::own_endpoint;

/// The time to wait for a worker's answer: a worker reads orders within five seconds, and then asks SQS.
const PATIENCE: Duration = Duration::from_secs(8);

/// The time between two requests for the answer.
const LOOK: Duration = Duration::from_millis(500);

/// Help about the recipients of an order.
const WHO_IS_ORDERED: &str = "\
The command sends the order to all workers that share the store of DRUMLINE_STORE_URL; they follow it within 5 seconds. With memory:, it \
sends the order to the worker at DRUMLINE_HTTP_ADDR, which accepts orders over its loopback interface, or with the token in \
DRUMLINE_HTTP_TOKEN. The workers log the author, the time and the reason.";

/// Retries a hidden job now, before its next attempt is due
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} jobs retry 01JQ3ZC5T8M1Y4
  {{program}} jobs retry 01JQ3ZC5T8M1Y4 --why 'the mail service is back'

After a failed attempt, a worker hides the message until the next attempt. On this order, that worker makes the message visible, so that \
any worker can receive it. This costs the message no extra receive. A worker remembers the last 1000 messages of a queue that it hid. \
After a restart it remembers none; the job then runs again when its next attempt is due.

{WHO_IS_ORDERED}

Exit status: 0 the message is visible, 1 it is not hidden, or no worker remembers it, 64 bad usage, or the worker refuses, 69 the store or \
the worker does not answer."))]
pub(super) struct RetryArgs {
    #[command(flatten)]
    ordered: Ordered,
}

/// Cancels a job: the job stops, does not run again, and fails permanently
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} jobs cancel 01JQ3ZC5T8M1Y4 --why 'wrong price list'

The worker cancels the handler of a running job, as it does at the handler's deadline; if the handler succeeds anyway, the job is done. A \
waiting job does not run when a worker receives it next. A cancelled job fails permanently with the reason `cancelled by NAME: WHY`, and \
goes to the DLQ like other permanent failures. `{{program}} dlq replay` or `dlq delete` can then take it from the DLQ. If no worker has \
the job and all workers share the store, the order is kept for 13 hours: a job that arrives in this time does not run.

{WHO_IS_ORDERED}

Exit status: 0 cancelled, 1 the job has ended, or no worker has it now, 64 bad usage, or the worker refuses, 69 the store or the worker \
does not answer."))]
pub(super) struct CancelArgs {
    #[command(flatten)]
    ordered: Ordered,
}

#[derive(Debug, clap::Args)]
struct Ordered {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    who: Who,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn retry(args: &RetryArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    args.ordered.give(JobVerb::Retry, environment).await
}

pub(super) async fn cancel(args: &CancelArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    args.ordered.give(JobVerb::Cancel, environment).await
}

impl Ordered {
    async fn give(&self, action: JobVerb, environment: &Environment) -> Result<ExitCode, ExitError> {
        let (id, filter, histories) = self.job.open(environment).await?;
        let known = histories.job(id, &filter).await?;
        if let Some(ended) = known.as_ref().and_then(ended) {
            return Err(ExitError::other(ended));
        }
        let (job, message_ids) = match &known {
            Some(known) => (known.job.job_id.clone(), messages(known)),
            None => (id.to_owned(), vec![id.to_owned()]),
        };
        let (by, why) = (self.who.by(), self.who.why());
        let request = JobRequest { job, message_ids, action, by, why }.checked();
        let request = request.map_err(|error| ExitError::usage(error.to_string()))?;
        let reply = match &histories {
            Histories::Worker { addr, token } => Some(ask(*addr, token.clone(), &request).await?),
            Histories::Store(store) => all(&**store, &request).await?,
        };
        let text = text(&request, reply.as_ref());
        if self.output == Output::Json {
            print(|out| out.json_line(&reply))?;
        }
        match reply.as_ref().map(|reply| reply.result) {
            Some(JobResultKind::MadeVisible | JobResultKind::RunCancelled | JobResultKind::Cancelled) => {
                if self.output == Output::Table {
                    note(&text);
                }
                Ok(ExitCode::SUCCESS)
            }
            Some(JobResultKind::Failed) => Err(ExitError::unavailable(text)),
            Some(JobResultKind::Unknown | JobResultKind::Running | JobResultKind::InHand) | None => {
                Err(ExitError::other(text))
            }
        }
    }
}

/// Returns the reason why a job that has ended takes no orders.
fn ended(job: &JobView) -> Option<String> {
    let id = one_line(&job.job.job_id);
    match job.state {
        ShownState::Done => Some(format!("the job {id} is done")),
        ShownState::Failed => {
            Some(format!("the job {id} has failed permanently: see `{} dlq replay --id {id}`", program()))
        }
        _ => None,
    }
}

/// Returns the messages in which a job came, newest first.
fn messages(job: &JobView) -> Vec<String> {
    let claimed = job.job.claim.as_ref().map(|claim| claim.message_id.clone());
    let attempted = job.job.attempts.last().map(|attempt| attempt.message_id.clone());
    let mut ids: Vec<String> = claimed.into_iter().chain(attempted).filter(|id| !id.is_empty()).collect();
    ids.dedup();
    ids
}

async fn ask(
    addr: SocketAddr,
    token: Option<SecretText>,
    request: &JobRequest,
) -> Result<JobReply, ExitError> {
    let json = serde_json::to_string(request).expect("it is made of texts");
    let ask = move || own_endpoint::post(addr, "/control/jobs", token.as_ref(), &json);
    let answer = tokio::task::spawn_blocking(ask).await;
    let answer = answer.map_err(|error| ExitError::other(error.to_string()))?;
    refusal_of(&format!("http://{addr}"), answer)
}

/// Gives an order to all workers of a store, and waits for the answer of the worker that knows the job.
async fn all(store: &dyn Store, request: &JobRequest) -> Result<Option<JobReply>, ExitError> {
    let error = |error: StoreError| match error {
        StoreError::Refused(why) => ExitError::usage(format!("the store takes no order: {why}")),
        StoreError::Unanswered(_) => ExitError::unavailable(format!("the store does not answer: {error}")),
    };
    let id = put_job_request(store, request, now_ms()).await.map_err(error)?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        sleep(LOOK).await;
        if let Some(reply) = job_reply(store, &id).await.map_err(error)? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

fn text(request: &JobRequest, reply: Option<&JobReply>) -> String {
    let id = one_line(&request.job);
    let Some(JobReply { worker, result, error }) =
        reply.filter(|reply| reply.result != JobResultKind::Unknown)
    else {
        return match request.action {
            JobVerb::Retry => format!(
                "no worker has hidden the job {id}, or still has its receipt: it is tried when its time comes"
            ),
            JobVerb::Cancel => format!(
                "no worker has the job {id} now; those that know of the order will not run it if it is received"
            ),
        };
    };
    let worker = one_line(worker);
    match result {
        JobResultKind::MadeVisible => {
            format!("the job {id} is visible: it is tried as soon as a worker has a slot")
        }
        JobResultKind::RunCancelled => format!("the run of the job {id} is cancelled at the worker {worker}"),
        JobResultKind::Cancelled => format!("the job {id} is cancelled: it does not run any more"),
        JobResultKind::Running => {
            format!("the job {id} runs at the worker {worker}: there is nothing to retry")
        }
        JobResultKind::InHand => {
            format!("the worker {worker} has the job {id} in hand, and starts it as soon as it may")
        }
        JobResultKind::Failed | JobResultKind::Unknown => {
            format!("the job {id}: {}", one_line(error.as_deref().unwrap_or("the worker has failed")))
        }
    }
}
