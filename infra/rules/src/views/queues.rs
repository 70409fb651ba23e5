//! The queues of a stack, and their redrive policies.

use serde_json::Value;

use crate::model::{Resource, Stack, Target, queue_arn};
use crate::value::{has_token, int, items, plain, truth};

/// The default retention of SQS: four days. See
/// [the attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
const DEFAULT_RETENTION_SECS: i64 = 345_600;

/// The default visibility timeout of SQS.
const DEFAULT_VISIBILITY_SECS: i64 = 30;

/// A queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// The name, with tokens if it is known only after the deployment.
    pub(crate) name: String,
    pub(crate) arn: String,
}

/// Returns all queues of a stack.
pub(crate) fn queues(stack: &Stack) -> Vec<Queue<'_>> {
    stack.of_kind("AWS::SQS::Queue").map(|(id, resource)| Queue::new(id, resource)).collect()
}

impl<'a> Queue<'a> {
    fn new(id: &'a str, resource: &'a Resource) -> Self {
        let named = resource.get("/QueueName").map(plain);
        let arn = named.as_deref().map_or_else(|| format!("${{{id}.Arn}}"), queue_arn);
        Self { id, resource, name: named.unwrap_or_else(|| format!("${{{id}.QueueName}}")), arn }
    }

    /// Returns the value of its `Ref`.
    pub(crate) fn url(&self) -> String {
        format!("${{{}}}", self.id)
    }

    /// Returns true for a FIFO queue. `None` if this is known only after the deployment.
    pub(crate) fn is_fifo(&self) -> Option<bool> {
        match self.resource.get("/FifoQueue") {
            None => Some(false),
            Some(value) => truth(value),
        }
    }

    /// Returns the retention. `None` if it is known only after the deployment.
    pub(crate) fn retention(&self) -> Option<i64> {
        self.resource.get("/MessageRetentionPeriod").map_or(Some(DEFAULT_RETENTION_SECS), int)
    }

    /// Returns the visibility timeout. `None` if it is known only after the deployment.
    pub(crate) fn visibility(&self) -> Option<i64> {
        self.resource.get("/VisibilityTimeout").map_or(Some(DEFAULT_VISIBILITY_SECS), int)
    }

    /// Returns true if it has a redrive policy, even one that is not known.
    pub(crate) fn redrives(&self) -> bool {
        self.resource.get("/RedrivePolicy").is_some()
    }

    /// Returns the ARN of its DLQ, as far as it is known.
    pub(crate) fn target(&self) -> Option<&'a str> {
        self.resource.text("/RedrivePolicy/deadLetterTargetArn")
    }

    /// Returns the queues of the stack whose DLQ it is.
    pub(crate) fn sources<'q>(&self, all: &'q [Queue<'a>]) -> Vec<&'q Queue<'a>> {
        all.iter().filter(|queue| queue.id != self.id && queue.target() == Some(self.arn.as_str())).collect()
    }

    /// Returns its DLQ, if that is in the stack.
    pub(crate) fn dlq<'q>(&self, all: &'q [Queue<'a>]) -> Option<&'q Queue<'a>> {
        all.iter().find(|queue| queue.id != self.id && self.target() == Some(queue.arn.as_str()))
    }

    /// Returns true if it is the DLQ of a queue in this stack, or by its redrive-allow policy of one in another stack.
    pub(crate) fn is_dlq(&self, all: &[Queue<'_>]) -> bool {
        !self.sources(all).is_empty()
            || self.resource.text("/RedriveAllowPolicy/redrivePermission") == Some("byQueue")
    }

    /// Returns true if it takes events that another resource cannot deliver: topics, functions, pipes, rules and schedules have
    /// such queues.
    pub(crate) fn is_dlq_elsewhere(&self, stack: &Stack) -> bool {
        let resources = stack.resources.values().filter(|resource| resource.kind != "AWS::SQS::Queue");
        resources.flat_map(|resource| &resource.references).any(|reference| {
            let at = reference.at.to_ascii_lowercase();
            let as_dlq = ["deadletter", "onfailure", "redrivepolicy"].iter().any(|part| at.contains(part));
            as_dlq && matches!(&reference.to, Target::Resource { id, .. } if id == self.id)
        })
    }

    /// Returns the queues listed in its redrive-allow policy. `None` for another kind of policy.
    pub(crate) fn allowed_sources(&self) -> Option<&'a [Value]> {
        let policy = self.resource.get("/RedriveAllowPolicy")?;
        (policy["redrivePermission"].as_str() == Some("byQueue"))
            .then(|| items(policy.get("sourceQueueArns")))
    }

    /// Returns true if a text is its name, URL or ARN.
    pub(crate) fn is_meant_by(&self, text: &str) -> bool {
        text == self.arn || text == self.name || text == self.url()
    }

    /// Returns true if the name ends like that of a FIFO queue. `None` if the deployment sets the end.
    pub(crate) fn name_is_fifo(&self) -> Option<bool> {
        self.resource.get("/QueueName")?;
        if self.name.ends_with(FIFO_SUFFIX) {
            return Some(true);
        }
        let end = self.name.rfind('}').filter(|_| has_token(&self.name)).map_or(0, |end| end + 1);
        // Only a known end that is long enough proves that the suffix is missing.
        (end == 0 || self.name.len() - end >= FIFO_SUFFIX.len()).then_some(false)
    }
}

/// The suffix of a FIFO queue's name.
pub(crate) const FIFO_SUFFIX: &str = ".fifo";
