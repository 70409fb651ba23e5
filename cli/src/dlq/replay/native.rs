//! `--native`: SQS itself moves the letters in a task, which this command starts, follows and cancels.
//!
//! See
//! [StartMessageMoveTask](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_sqs::types::ListMessageMoveTasksResultEntry as Task;
use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionKind, ActionState, Beginning, Counts};
use drumline_runtime::aws::{AwsQueue, explain, queue_name, queue_url};
use drumline_runtime::{Environment, NoopObserver, Settings, SqsError};
use serde::Serialize;

use super::args::ReplayArgs;
use super::ask;
use crate::connection::connect_to;
use crate::dlq::action_log::{ActionLog, Locking};
use crate::dlq::action_store::ActionStore;
use crate::dlq::operator;
use crate::dlq::queue::DeadLetterQueue;
use crate::format::{count, note, now_ms};
use crate::interrupt::interrupted;
use crate::output::{Output, print};
use crate::question;

/// The highest number of messages a second at which an SQS task moves messages.
const MAX_RATE: f64 = 500.0;

/// The time between two requests for the task's state.
const POLL: Duration = Duration::from_secs(1);

/// The number of tasks that SQS lists, newest first.
const TASKS: i32 = 10;

/// The number of consecutive failed requests that are tolerated if SQS throttles them or cannot be reached.
const FAILED_LOOKS: u32 = 10;

/// The disadvantages of a move by SQS, for the operator.
const LOSSES: &str = "SQS moves all letters unchanged, each with a new id: a job without its own id becomes a new job, even if it \
                      is done. SQS does not guarantee the order within a message group. Letters that a worker copied into the \
                      DLQ stay there without --to";

/// A task as one line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    kind: &'a str,
    state: &'a str,
    moved: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_move: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Starts a task and follows it to its end, or cancels the running one.
pub(super) async fn native(args: &ReplayArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    if let Some(word) = args.choice.words.iter().find(|word| !word.starts_with("--to=")) {
        let flag = word.split('=').next().unwrap_or(word);
        return Err(ExitError::usage(format!(
            "SQS moves all letters as they are: {flag} does not go with it"
        )));
    }
    let settings = args.queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let Some(arn) = &queue.arn else {
        return Err(ExitError::usage(format!("the ARN of {} is not known", queue.name)));
    };
    if args.native.cancel {
        return cancel(&queue, arn, args.action.output).await;
    }
    if args.rate.is_some_and(|rate| !(1.0..=MAX_RATE).contains(&rate) || rate.fract() != 0.0) {
        return Err(ExitError::usage(
            "SQS moves 1 to 500 letters a second: --rate is a whole number of them",
        ));
    }
    if !args.consent.yes {
        if !ask::may_ask() {
            return Err(ExitError::usage("without a terminal to ask on, --yes is needed"));
        }
        note(LOSSES);
        if !question::confirm(&format!("Move about {} of {}?", count(queue.visible, "letter"), queue.name))
            .await?
        {
            return Err(ExitError::other("nothing was moved"));
        }
    }
    let destination = match &args.choice.value.to {
        Some(to) => Some(arn_of(to).await?),
        None => None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "checked to be 500 at most")]
    let rate = args.rate.map(|rate| rate as i32);
    let log = record(args, &settings, arn).await?;
    let request = queue.clients.calls.start_message_move_task().source_arn(arn);
    let request = request.set_destination_arn(destination).set_max_number_of_messages_per_second(rate);
    let request = request.send().await;
    let is_begun = request.is_ok();
    let task = match request {
        Ok(_) => {
            note("SQS moves the letters, also if this command ends; --cancel stops it");
            follow(&queue, arn, &log).await
        }
        Err(error) => Err(failed(&queue, "moved", explain("StartMessageMoveTask", &error)).await),
    };
    let is_done = task.as_ref().is_ok_and(|task| task.status.as_deref() == Some("COMPLETED"));
    let left = (!is_done).then_some("SQS did not move all letters");
    match (log.stop_asked(), &task) {
        (Some(reason), Ok(_)) => log.end(ActionState::Aborted, Some(&reason)).await,
        // SQS moves letters anyway.
        (_, Err(error)) if is_begun => {
            let why = error.to_string();
            log.end(ActionState::Interrupted, Some(why.as_str()).filter(|why| !why.is_empty())).await;
        }
        _ => log.end_as(&task, left).await,
    }
    report(&task?, args.action.output)?;
    Ok(ExitCode::from(u8::from(!is_done)))
}

/// Records that SQS starts to move letters.
async fn record(args: &ReplayArgs, settings: &Settings, arn: &str) -> Result<ActionLog, ExitError> {
    let native = std::iter::once("--native".to_owned());
    let beginning = Beginning {
        kind: ActionKind::Replay,
        name: args.action.name(ActionKind::Replay, now_ms()),
        actor: args.action.actor(),
        dlq: arn.to_owned(),
        words: native.chain(args.choice.words.iter().cloned()).collect(),
        bounds: Vec::new(),
        host: operator::host(),
        journal: None,
        export: None,
    };
    ActionLog::begin(ActionStore::open(settings).await?, beginning, Locking::Exclusive).await
}

/// Follows the newest task to its end. Cancels it if another operator aborts the action.
async fn follow(queue: &DeadLetterQueue, arn: &str, log: &ActionLog) -> Result<Task, ExitError> {
    let (mut reported, mut is_cancelled, mut failed_looks) = (None, false, 0);
    let mut last = None;
    loop {
        match tasks(queue, arn).await {
            Ok(tasks) => {
                last = tasks.into_iter().next();
                failed_looks = 0;
                if last.is_none() {
                    return Err(ExitError::other("SQS does not list the task that it has begun"));
                }
            }
            Err(error) if error.kind.passes() && failed_looks < FAILED_LOOKS => failed_looks += 1,
            Err(error) => return Err(failed(queue, "listed", error).await),
        }
        // After a failed request, use the last known state.
        let task = last.clone().unwrap_or_else(|| Task::builder().status("RUNNING").build());
        let state = task.status.as_deref().unwrap_or_default();
        let moved = task.approximate_number_of_messages_moved;
        log.report(Counts::from([("moved".to_owned(), u64::try_from(moved).unwrap_or_default())]));
        if !matches!(state, "RUNNING" | "CANCELLING") {
            return Ok(task);
        }
        if reported != Some(moved) {
            reported = Some(moved);
            let of = task.approximate_number_of_messages_to_move;
            let of = of.map(|of| format!(" of about {of}")).unwrap_or_default();
            note(&format!("moved: about {moved}{of}"));
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            reason = log.until_stopped(), if !is_cancelled && task.task_handle.is_some() => {
                note(&reason);
                is_cancelled = true;
                if let Some(handle) = &task.task_handle {
                    cancel_task(queue, handle).await?;
                }
            }
            status = interrupted() => {
                note("interrupted; SQS continues to move letters until --cancel stops it");
                return Err(ExitError::silent(status?));
            }
        }
    }
}

async fn cancel(queue: &DeadLetterQueue, arn: &str, output: Output) -> Result<ExitCode, ExitError> {
    let tasks = match tasks(queue, arn).await {
        Ok(tasks) => tasks,
        Err(error) => return Err(failed(queue, "listed", error).await),
    };
    let running = tasks.iter().find_map(|task| {
        let is_running = task.status.as_deref() == Some("RUNNING");
        task.task_handle.as_deref().filter(|_| is_running)
    });
    let Some(handle) = running else {
        return Err(ExitError::other(format!("SQS moves no letters of {}", queue.name)));
    };
    let moved = cancel_task(queue, handle).await?;
    let task = Task::builder().status("CANCELLED").approximate_number_of_messages_moved(moved).build();
    report(&task, output)?;
    Ok(ExitCode::SUCCESS)
}

/// Cancels a task and returns the number of letters that it has moved.
async fn cancel_task(queue: &DeadLetterQueue, handle: &str) -> Result<i64, ExitError> {
    let request = queue.clients.calls.cancel_message_move_task().task_handle(handle);
    match request.send().await {
        Ok(reply) => Ok(reply.approximate_number_of_messages_moved),
        Err(error) => Err(failed(queue, "cancelled", explain("CancelMessageMoveTask", &error)).await),
    }
}

async fn tasks(queue: &DeadLetterQueue, arn: &str) -> Result<Vec<Task>, SqsError> {
    let request = queue.clients.calls.list_message_move_tasks().source_arn(arn).max_results(TASKS);
    let reply = request.send().await.map_err(|error| explain("ListMessageMoveTasks", &error))?;
    Ok(reply.results.unwrap_or_default())
}

async fn failed(queue: &DeadLetterQueue, done: &str, error: SqsError) -> ExitError {
    let error = queue.clients.in_context(error).await;
    ExitError::sqs(error.kind, format!("letters of {} cannot be {done}: {}", queue.name, error.text))
}

/// Returns the ARN of the queue that `--to` names.
async fn arn_of(to: &str) -> Result<String, ExitError> {
    let url = queue_url(to).map_err(|error| ExitError::usage(format!("--to: {error}")))?;
    let (clients, url) = connect_to(&url, Duration::ZERO).await?;
    let queue = AwsQueue::new(clients, url.to_string(), std::sync::Arc::new(NoopObserver));
    let facts =
        queue.describe().await.map_err(|error| ExitError::sqs(error.kind, format!("--to: {error}")))?;
    facts.arn.ok_or_else(|| ExitError::usage(format!("the ARN of {} is not known", queue_name(url.as_str()))))
}

fn report(task: &Task, output: Output) -> Result<(), ExitError> {
    let state = task.status.as_deref().unwrap_or_default().to_lowercase();
    let summary = Summary {
        kind: "replay",
        state: &state,
        moved: task.approximate_number_of_messages_moved,
        to_move: task.approximate_number_of_messages_to_move,
        why: task.failure_reason.as_deref(),
    };
    print(|out| match output {
        Output::Json => out.json_line(&summary),
        Output::Table => {
            writeln!(out, "{state}, moved: about {}", summary.moved)?;
            summary.why.iter().try_for_each(|why| writeln!(out, "{why}"))
        }
    })
}
