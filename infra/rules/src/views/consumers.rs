//! The consumers of a queue: functions behind a mapping, and tasks.

use super::functions::mappings;
use super::policies::{Role, role_at};
use super::queues::Queue;
use super::tasks::tasks;
use crate::model::Stack;
use crate::value::{is_token, plain};

/// A worker and its permissions.
pub(crate) struct Consumer<'a> {
    pub(crate) id: &'a str,
    /// The role, if it is in the stack.
    pub(crate) role: Option<Role<'a>>,
    /// The queue, if it is in the stack.
    pub(crate) queue: Option<Queue<'a>>,
    /// The queue's ARN in the template, if it is there.
    pub(crate) source: Option<String>,
    /// True if it runs Drumline, which sets visibility itself.
    pub(crate) ours: bool,
    /// True if it may send to its DLQ.
    pub(crate) dead_letters_itself: bool,
}

/// The setting with which a worker copies dead letters itself.
const DEAD_LETTERS_ITSELF: &str = "dead-letter";

/// Returns the workers of a stack.
pub(crate) fn consumers(stack: &Stack) -> Vec<Consumer<'_>> {
    let functions = mappings(stack).into_iter().filter_map(|mapping| {
        let function = mapping.function?;
        let permanent =
            function.resource.get("/Environment/Variables/DRUMLINE_PERMANENT_FAILURES").map(plain);
        Some(Consumer {
            id: function.id,
            role: role_at(stack, function.resource, "/Role"),
            source: mapping.resource.text("/EventSourceArn").map(str::to_owned),
            queue: mapping.queue,
            ours: function.is_ours(),
            dead_letters_itself: permanent.as_deref() == Some(DEAD_LETTERS_ITSELF),
        })
    });
    let tasks = tasks(stack).into_iter().map(|task| Consumer {
        id: task.id,
        source: task
            .queue
            .as_ref()
            .map(|queue| queue.arn.clone())
            .or_else(|| received_arn(task.role.as_ref()?)),
        ours: task.ours,
        dead_letters_itself: task.variable("DRUMLINE_PERMANENT_FAILURES").as_deref()
            == Some(DEAD_LETTERS_ITSELF),
        queue: task.queue,
        role: task.role,
    });
    functions.chain(tasks).collect()
}

/// Returns a queue that only the role names, by a parameter or an ARN.
fn received_arn(role: &Role<'_>) -> Option<String> {
    let receives = role
        .statements
        .iter()
        .find(|statement| statement.allows() && statement.has_action("sqs:ReceiveMessage"))?;
    let is_arn = |arn: &&str| is_token(arn) || arn.contains(":sqs:");
    receives.resources().into_iter().find(is_arn).map(str::to_owned)
}
