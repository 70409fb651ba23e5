//! Lambda functions for queues, and their event source mappings.

use serde_json::Value;

use super::queues::{Queue, queues};
use crate::model::{Resource, Stack, Target};
use crate::value::{int, token_name};

/// The default timeout of a function, in seconds. See
/// [Lambda's quotas](https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html).
const DEFAULT_TIMEOUT_SECS: i64 = 3;

/// A function.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
}

/// An event source mapping from a queue.
pub(crate) struct Mapping<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// The queue, if it is in the stack.
    pub(crate) queue: Option<Queue<'a>>,
    /// The function, if it is in the stack.
    pub(crate) function: Option<Function<'a>>,
}

impl Function<'_> {
    /// Returns the timeout. `None` if it is known only after the deployment.
    pub(crate) fn timeout(&self) -> Option<i64> {
        self.resource.get("/Timeout").map_or(Some(DEFAULT_TIMEOUT_SECS), int)
    }

    /// Returns true if it runs Drumline.
    pub(crate) fn is_ours(&self) -> bool {
        let variables = self.resource.get("/Environment/Variables").and_then(Value::as_object);
        variables.is_some_and(|variables| variables.keys().any(|name| name.starts_with("DRUMLINE_")))
    }
}

/// Returns the mappings whose source is a queue, as far as this is known.
pub(crate) fn mappings(stack: &Stack) -> Vec<Mapping<'_>> {
    let all = queues(stack);
    let mappings = stack.of_kind("AWS::Lambda::EventSourceMapping");
    mappings
        .filter_map(|(id, resource)| {
            let source = resource.text("/EventSourceArn").unwrap_or_default();
            let queue = all.iter().find(|queue| queue.arn == source).cloned();
            let is_queue = queue.is_some() || source.contains(":sqs:") || is_queue_parameter(source);
            is_queue.then(|| Mapping { id, resource, queue, function: function_of(stack, resource) })
        })
        .collect()
}

/// Returns true if a token is a parameter that is named like a queue.
fn is_queue_parameter(text: &str) -> bool {
    token_name(text).is_some_and(|name| name.to_ascii_lowercase().contains("queue") && !name.contains("::"))
}

fn function_of<'a>(stack: &'a Stack, mapping: &'a Resource) -> Option<Function<'a>> {
    let referred = mapping.references_at("/FunctionName").find_map(|to| match to {
        Target::Resource { id, .. } => stack.resources.get_key_value(id),
        _ => None,
    });
    let by_name = || {
        let name = mapping.text("/FunctionName")?;
        stack.resources.iter().find(|(_, resource)| resource.text("/FunctionName") == Some(name))
    };
    let (id, resource) = referred.or_else(by_name)?;
    match resource.kind.as_str() {
        "AWS::Lambda::Function" => Some(Function { id, resource }),
        // An alias or a version stands for its function.
        "AWS::Lambda::Alias" | "AWS::Lambda::Version" => {
            resource.references_at("/FunctionName").find_map(|to| match to {
                Target::Resource { id, .. } => {
                    let (id, resource) = stack.resources.get_key_value(id)?;
                    (resource.kind == "AWS::Lambda::Function").then_some(Function { id, resource })
                }
                _ => None,
            })
        }
        _ => None,
    }
}

/// Returns the functions of the stack that process queues, each once.
pub(crate) fn consuming_functions(stack: &Stack) -> Vec<Function<'_>> {
    let mut functions: Vec<Function<'_>> =
        mappings(stack).into_iter().filter_map(|mapping| mapping.function).collect();
    functions.sort_by_key(|function| function.id);
    functions.dedup_by_key(|function| function.id);
    functions
}
