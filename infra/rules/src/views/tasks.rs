//! ECS task definitions for queues, and the services that run them.

use serde_json::Value;

use super::policies::{Role, role_at};
use super::queues::{Queue, queues};
use crate::model::{Resource, Stack, Target};
use crate::value::{int, items, number, plain};

/// The default time for jobs to finish after SIGTERM, the same as in the runtime.
const DEFAULT_GRACE_SECS: f64 = 25.0;

/// The default maximum time of one attempt, the same as in the runtime.
const DEFAULT_HANDLER_TIMEOUT_SECS: f64 = 900.0;

/// The default number of handlers at once, the same as in the runtime.
const DEFAULT_CONCURRENCY: i64 = 32;

/// A task definition with a container that processes a queue.
pub(crate) struct Task<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) containers: &'a [Value],
    /// The index of the container that receives.
    pub(crate) worker: usize,
    /// True if that container runs Drumline.
    pub(crate) ours: bool,
    /// The task's own role, if it is in the stack.
    pub(crate) role: Option<Role<'a>>,
    /// The queue, if it is in the stack.
    pub(crate) queue: Option<Queue<'a>>,
}

/// Returns the task definitions that process queues.
pub(crate) fn tasks(stack: &Stack) -> Vec<Task<'_>> {
    stack.of_kind("AWS::ECS::TaskDefinition").filter_map(|(id, resource)| task(stack, id, resource)).collect()
}

/// Returns true if a container runs one of Drumline's commands for dead letters instead of a worker.
fn is_operator(container: &Value) -> bool {
    items(container.get("Command")).first().is_some_and(|word| word == "dlq")
}

fn task<'a>(stack: &'a Stack, id: &'a str, resource: &'a Resource) -> Option<Task<'a>> {
    let containers = items(resource.get("/ContainerDefinitions"));
    if containers.iter().any(is_operator) {
        return None;
    }
    let role = role_at(stack, resource, "/TaskRoleArn");
    let ours = containers.iter().position(|container| {
        items(container.get("Environment")).iter().any(|pair| plain(&pair["Name"]).starts_with("DRUMLINE_"))
    });
    let receives = role.as_ref().is_some_and(|role| {
        role.statements
            .iter()
            .any(|statement| statement.allows() && statement.has_action("sqs:ReceiveMessage"))
    });
    let worker = ours.or_else(|| (receives && !containers.is_empty()).then_some(0))?;
    let mut task = Task { id, resource, containers, worker, ours: ours.is_some(), role, queue: None };
    let url = task.variable("DRUMLINE_QUEUE_URL");
    task.queue = queues(stack).into_iter().find(|queue| url.as_deref() == Some(queue.url().as_str()));
    Some(task)
}

impl<'a> Task<'a> {
    pub(crate) fn container(&self) -> &'a Value {
        &self.containers[self.worker]
    }

    /// Returns a pointer to a property of the worker's container.
    pub(crate) fn pointer(&self, property: &str) -> String {
        format!("/ContainerDefinitions/{}{property}", self.worker)
    }

    /// Returns the worker's environment.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        items(self.container().get("Environment"))
            .iter()
            .map(|pair| (plain(&pair["Name"]), plain(&pair["Value"])))
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.environment().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns a pointer to the value of a variable in the worker's environment.
    pub(crate) fn variable_pointer(&self, name: &str) -> String {
        let index = self.environment().position(|(key, _)| key == name);
        self.pointer(
            &index.map_or_else(|| "/Environment".to_owned(), |index| format!("/Environment/{index}/Value")),
        )
    }

    /// Returns true if it can run on Fargate. The default is EC2 only.
    pub(crate) fn is_fargate(&self) -> bool {
        items(self.resource.get("/RequiresCompatibilities")).iter().any(|kind| kind == "FARGATE")
    }

    /// Returns the stop timeout in seconds. `None` if it is not set or is known only after the deployment.
    pub(crate) fn stop_timeout(&self) -> Option<i64> {
        self.container().get("StopTimeout").and_then(int)
    }

    /// Returns the drain time. `None` if it is known only after the deployment.
    pub(crate) fn grace(&self) -> Option<f64> {
        self.variable("DRUMLINE_SHUTDOWN_GRACE").map_or(Some(DEFAULT_GRACE_SECS), |text| seconds(&text))
    }

    /// Returns the handler timeout. `None` if it is known only after the deployment.
    pub(crate) fn handler_timeout(&self) -> Option<f64> {
        self.variable("DRUMLINE_HANDLER_TIMEOUT")
            .map_or(Some(DEFAULT_HANDLER_TIMEOUT_SECS), |text| seconds(&text))
    }

    /// Returns the concurrency. `None` if it is known only after the deployment.
    pub(crate) fn concurrency(&self) -> Option<i64> {
        self.variable("DRUMLINE_CONCURRENCY")
            .map_or(Some(DEFAULT_CONCURRENCY), |text| text.trim().parse().ok())
    }

    /// Returns the time for which the worker hides a message: its own setting, or that of the queue. `None` if it is known only
    /// after the deployment.
    pub(crate) fn lease(&self, stack: &Stack) -> Option<f64> {
        let asked = self.variable("DRUMLINE_VISIBILITY_TIMEOUT");
        asked.map_or_else(|| queue_visibility(stack, self.queue.as_ref()), |text| seconds(&text))
    }

    /// Returns the services of the stack that run it.
    pub(crate) fn services(&self, stack: &'a Stack) -> Vec<(&'a str, &'a Resource)> {
        let runs = |service: &Resource| service.refers_to("/TaskDefinition", self.id);
        stack.of_kind("AWS::ECS::Service").filter(|(_, service)| runs(service)).collect()
    }
}

/// The parameter that gives a worker's stack the visibility timeout of a queue in another stack.
pub(crate) const VISIBILITY_PARAMETER: &str = "VisibilityTimeoutSeconds";

/// Returns the visibility timeout of a worker's queue in seconds: that of the queue, or of the parameter if the queue is in
/// another stack. `None` if it is known only after the deployment.
pub(crate) fn queue_visibility(stack: &Stack, queue: Option<&Queue<'_>>) -> Option<f64> {
    match queue {
        Some(queue) => queue.visibility().and_then(|secs| number(&secs.into())),
        None => number(stack.parameters.get(VISIBILITY_PARAMETER)?.value.as_ref()?),
    }
}

/// Parses a duration in the format of the runtime's settings: `30s`, `5m`, `1h 30m`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let mut total = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, after) = rest.split_at(digits);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit = match unit {
            "ms" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        *total.get_or_insert(0.0) += amount.parse::<f64>().ok()? * unit;
        rest = after.trim_start();
    }
    total
}

/// Returns true if a scalable target belongs to a service.
pub(crate) fn scales(target: &Resource, service_id: &str, service: &Resource) -> bool {
    let named = || {
        let name = service.text("/ServiceName")?;
        Some(target.text("/ResourceId")?.ends_with(&format!("/{name}")))
    };
    let referred = target
        .references_at("/ResourceId")
        .any(|to| matches!(to, Target::Resource { id, .. } if id == service_id));
    referred || named().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_the_runtime_s_settings() {
        for (text, secs) in
            [("900s", 900.0), ("5m", 300.0), ("1h 30m", 5400.0), ("1h30m", 5400.0), ("250ms", 0.25)]
        {
            assert_eq!(seconds(text), Some(secs), "{text}");
        }
        for text in ["", "s", "15", "${Grace}s", "5 m", "1x"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
