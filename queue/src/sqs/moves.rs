//! Message move tasks: move a dead-letter queue's messages back at a limited rate.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::machine::Sqs;
use super::move_task::MoveTask;
use crate::api::{
    CancelMessageMoveTask, CancelMessageMoveTaskReply, ListMessageMoveTasks, ListMessageMoveTasksReply,
    MoveTaskStatus, StartMessageMoveTask, StartMessageMoveTaskReply,
};
use crate::error::{ErrorCode, SqsError};
use crate::limits::{MAX_LISTED_MOVE_TASKS, MOVE_RATE};
use crate::message::{Message, State};
use crate::time::Timestamp;

/// The content of a task handle, in SQS's format: JSON in base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskHandle {
    task_id: String,
    source_arn: String,
}

impl Sqs {
    /// Starts moving a dead-letter queue's messages to a destination, or each to the queue it came from.
    ///
    /// # Errors
    ///
    /// `ResourceNotFound` if the source or the destination does not exist; `InvalidParameterValue` if the source is not a
    /// dead-letter queue, the destination is the source or has another type, the rate is outside 1 to 500, or a task is already
    /// running.
    pub fn start_message_move_task(
        &mut self,
        now: Timestamp,
        request: StartMessageMoveTask,
    ) -> Result<StartMessageMoveTaskReply, SqsError> {
        let invalid = |message: &str| Err(SqsError::new(ErrorCode::InvalidParameterValue, message));
        self.run_moves(now);
        let source_name = self.existing("SourceArn", &request.source_arn)?.to_owned();
        if let Some(rate) = request.max_number_of_messages_per_second.filter(|rate| !MOVE_RATE.contains(rate))
        {
            let reason = "Must be between 1 and 500, if provided.";
            return Err(SqsError::invalid_value("MaxNumberOfMessagesPerSecond", rate, reason));
        }
        if !self.queues.values().any(|queue| queue.sends_dead_letters_to(&request.source_arn)) {
            return invalid("Source queue must be configured as a Dead Letter Queue.");
        }
        if let Some(destination) = &request.destination_arn {
            let destination_name = self.existing("DestinationArn", destination)?;
            if destination_name == source_name {
                return invalid("Source queue arn and destination queue arn cannot be the same.");
            }
            if self.queues[destination_name].settings.fifo != self.queues[&source_name].settings.fifo {
                return invalid("Source queue and destination queue must be of the same type.");
            }
        }
        if self.tasks.iter().any(|task| task.source_arn == request.source_arn && task.is_running()) {
            return invalid(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given \
                 time.",
            );
        }
        self.forget_old_tasks(&request.source_arn);
        let handle =
            TaskHandle { task_id: self.ids.uuid().to_string(), source_arn: request.source_arn.clone() };
        let handle = STANDARD.encode(serde_json::to_string(&handle).expect("two strings serialise"));
        let queue = self.queue_at(now, &source_name)?;
        let to_move = queue.store.counts().visible as u64;
        self.tasks.push(MoveTask {
            handle: handle.clone(),
            source_arn: request.source_arn,
            destination_arn: request.destination_arn,
            rate: request.max_number_of_messages_per_second,
            started_at: now,
            moved: 0,
            to_move,
            status: MoveTaskStatus::Running,
            failure: None,
        });
        Ok(StartMessageMoveTaskReply { task_handle: handle })
    }

    /// Stops a running task. What it has moved stays moved.
    ///
    /// # Errors
    ///
    /// `InvalidParameterValue` if the text is not a task handle, `ResourceNotFound` for an unknown task, `UnsupportedOperation`
    /// if the task no longer runs.
    pub fn cancel_message_move_task(
        &mut self,
        now: Timestamp,
        request: &CancelMessageMoveTask,
    ) -> Result<CancelMessageMoveTaskReply, SqsError> {
        self.run_moves(now);
        let handle: Option<TaskHandle> =
            STANDARD.decode(&request.task_handle).ok().and_then(|json| serde_json::from_slice(&json).ok());
        if handle.is_none() {
            let message = "Value for parameter TaskHandle is invalid.";
            return Err(SqsError::new(ErrorCode::InvalidParameterValue, message));
        }
        let task = self.tasks.iter_mut().find(|task| task.handle == request.task_handle);
        let task = task.ok_or_else(|| SqsError::new(ErrorCode::ResourceNotFound, "Task does not exist."))?;
        if !task.is_running() {
            let message = "Only active tasks can be cancelled.";
            return Err(SqsError::new(ErrorCode::UnsupportedOperation, message));
        }
        task.status = MoveTaskStatus::Cancelled;
        Ok(CancelMessageMoveTaskReply { approximate_number_of_messages_moved: task.moved })
    }

    /// Returns the newest tasks of a dead-letter queue, newest first.
    ///
    /// # Errors
    ///
    /// `ResourceNotFound`, `InvalidParameterValue` outside 1 to 10 results.
    pub fn list_message_move_tasks(
        &mut self,
        now: Timestamp,
        request: &ListMessageMoveTasks,
    ) -> Result<ListMessageMoveTasksReply, SqsError> {
        self.run_moves(now);
        self.existing("SourceArn", &request.source_arn)?;
        let max = usize::try_from(request.max_results.unwrap_or(1)).unwrap_or(0);
        if max == 0 || max > MAX_LISTED_MOVE_TASKS {
            let value = request.max_results.unwrap_or_default();
            return Err(SqsError::invalid_value(
                "MaxResults",
                value,
                "Must be between 1 and 10, if provided.",
            ));
        }
        let newest_first = self.tasks.iter().rev().filter(|task| task.source_arn == request.source_arn);
        Ok(ListMessageMoveTasksReply { results: newest_first.take(max).map(MoveTask::listed).collect() })
    }

    /// Moves the messages that are due by `now`.
    pub(super) fn run_moves(&mut self, now: Timestamp) {
        if !self.tasks.iter().any(MoveTask::is_running) {
            return;
        }
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in &mut tasks {
            self.run_task(task, now);
        }
        self.tasks = tasks;
    }

    fn run_task(&mut self, task: &mut MoveTask, now: Timestamp) {
        while task.is_running() {
            let source = task.source_arn.rsplit(':').next().unwrap_or_default();
            let Some(queue) = self.queues.get_mut(source) else { return task.fail(NO_QUEUE) };
            queue.advance(now);
            let Some(key) = queue.store.next_to_move() else {
                task.status = MoveTaskStatus::Completed;
                return;
            };
            if task.next_move_at().is_some_and(|due| due > now) {
                return;
            }
            let origin = queue.store.get(key).and_then(|message| message.dead_letter_source.clone());
            let Some(target) = task.destination_arn.as_deref().map(Arc::from).or(origin) else {
                return task.fail(NO_SOURCE);
            };
            let Some(target) = self.name_in_arn(&target).filter(|name| self.queues.contains_key(*name))
            else {
                return task.fail(NO_QUEUE);
            };
            let (source, target) = (source.to_owned(), target.to_owned());
            let message = self.queues.get_mut(&source).and_then(|queue| queue.store.remove(key, now));
            let message = message.expect("the message was just seen in the source queue");
            self.resend(now, &target, message);
            task.moved += 1;
        }
    }

    /// Puts a moved message into queue `target` as a new message: with another id, another age and no receives.
    fn resend(&mut self, now: Timestamp, target: &str, mut message: Message) {
        message.id = self.ids.uuid();
        let queue = self.queues.get_mut(target).expect("the destination was found before");
        message.sent_at = now;
        message.first_received_at = None;
        message.receive_count = 0;
        message.receipt = None;
        message.dead_letter_source = None;
        message.state = State::Visible { since: now };
        if queue.settings.fifo {
            message.sequence_number = Some(queue.sequence_number());
        }
        queue.store.insert(message, now);
    }

    /// Returns the name of the existing queue with this ARN.
    fn existing<'a>(&self, parameter: &str, arn: &'a str) -> Result<&'a str, SqsError> {
        self.name_in_arn(arn).filter(|name| self.queues.contains_key(*name)).ok_or_else(|| {
            let message =
                format!("The resource that you specified for the {parameter} parameter doesn't exist.");
            SqsError::new(ErrorCode::ResourceNotFound, message)
        })
    }

    /// Removes old finished tasks, so that with the next task there are not more than a listing shows.
    fn forget_old_tasks(&mut self, source_arn: &str) {
        let of_queue = self.tasks.iter().filter(|task| task.source_arn == source_arn).count();
        if of_queue >= MAX_LISTED_MOVE_TASKS
            && let Some(oldest) = self.tasks.iter().position(|task| task.source_arn == source_arn)
        {
            self.tasks.remove(oldest);
        }
    }
}

/// The failure reason if a message does not contain its source queue and no destination was given.
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";
/// The failure reason if the source or destination queue no longer exists.
const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";
