//! The queues of a stack and how they redrive into each other.

use serde_json::Value;

use crate::model::{Resource, Stack, Target, queue_arn};
use crate::value::{has_token, int, items, plain, truth};

/// What SQS keeps messages for where nothing is said: four days. See
/// [the attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
const DEFAULT_RETENTION_SECS: i64 = 345_600;

/// How long SQS hides a received message where nothing is said.
const DEFAULT_VISIBILITY_SECS: i64 = 30;

/// A queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// With tokens, where it is the deployment's.
    pub(crate) name: String,
    pub(crate) arn: String,
}

/// All queues of a stack.
pub(crate) fn queues(stack: &Stack) -> Vec<Queue<'_>> {
    stack.of_kind("AWS::SQS::Queue").map(|(id, resource)| Queue::new(id, resource)).collect()
}

impl<'a> Queue<'a> {
    fn new(id: &'a str, resource: &'a Resource) -> Self {
        let named = resource.get("/QueueName").map(plain);
        let arn = named.as_deref().map_or_else(|| format!("${{{id}.Arn}}"), queue_arn);
        Self { id, resource, name: named.unwrap_or_else(|| format!("${{{id}.QueueName}}")), arn }
    }

    /// What `Ref` of it resolves to.
    pub(crate) fn url(&self) -> String {
        format!("${{{}}}", self.id)
    }

    /// `None` if only the deployment knows.
    pub(crate) fn is_fifo(&self) -> Option<bool> {
        match self.resource.get("/FifoQueue") {
            None => Some(false),
            Some(value) => truth(value),
        }
    }

    /// `None` if only the deployment knows.
    pub(crate) fn retention(&self) -> Option<i64> {
        self.resource.get("/MessageRetentionPeriod").map_or(Some(DEFAULT_RETENTION_SECS), int)
    }

    /// `None` if only the deployment knows.
    pub(crate) fn visibility(&self) -> Option<i64> {
        self.resource.get("/VisibilityTimeout").map_or(Some(DEFAULT_VISIBILITY_SECS), int)
    }

    /// Whether it has a redrive policy, known or not.
    pub(crate) fn redrives(&self) -> bool {
        self.resource.get("/RedrivePolicy").is_some()
    }

    /// The ARN of its DLQ, as far as it is known.
    pub(crate) fn target(&self) -> Option<&'a str> {
        self.resource.text("/RedrivePolicy/deadLetterTargetArn")
    }

    /// The queues of the stack that redrive into it.
    pub(crate) fn sources<'q>(&self, all: &'q [Queue<'a>]) -> Vec<&'q Queue<'a>> {
        all.iter().filter(|queue| queue.id != self.id && queue.target() == Some(self.arn.as_str())).collect()
    }

    /// Its DLQ, if that is in the stack.
    pub(crate) fn dlq<'q>(&self, all: &'q [Queue<'a>]) -> Option<&'q Queue<'a>> {
        all.iter().find(|queue| queue.id != self.id && self.target() == Some(queue.arn.as_str()))
    }

    /// Whether it is some queue's DLQ, of this stack or by its own redrive-allow policy of another.
    pub(crate) fn is_dlq(&self, all: &[Queue<'_>]) -> bool {
        !self.sources(all).is_empty()
            || self.resource.text("/RedriveAllowPolicy/redrivePermission") == Some("byQueue")
    }

    /// Returns true if it takes events that another resource cannot deliver: topics, functions, pipes, rules and schedules have such queues.
    pub(crate) fn is_dlq_elsewhere(&self, stack: &Stack) -> bool {
        let resources = stack.resources.values().filter(|resource| resource.kind != "AWS::SQS::Queue");
        resources.flat_map(|resource| &resource.references).any(|reference| {
            let at = reference.at.to_ascii_lowercase();
            let as_dlq = ["deadletter", "onfailure", "redrivepolicy"].iter().any(|part| at.contains(part));
            as_dlq && matches!(&reference.to, Target::Resource { id, .. } if id == self.id)
        })
    }

    /// The queues that its redrive-allow policy lists; `None` if it is not such a policy.
    pub(crate) fn allowed_sources(&self) -> Option<&'a [Value]> {
        let policy = self.resource.get("/RedriveAllowPolicy")?;
        (policy["redrivePermission"].as_str() == Some("byQueue"))
            .then(|| items(policy.get("sourceQueueArns")))
    }

    /// Whether this is what a text means: its name, URL or ARN.
    pub(crate) fn is_meant_by(&self, text: &str) -> bool {
        text == self.arn || text == self.name || text == self.url()
    }

    /// `None` if only the deployment knows, which gives a FIFO queue's name its end too.
    pub(crate) fn name_is_fifo(&self) -> Option<bool> {
        self.resource.get("/QueueName")?;
        if self.name.ends_with(FIFO_SUFFIX) {
            return Some(true);
        }
        let end = self.name.rfind('}').filter(|_| has_token(&self.name)).map_or(0, |end| end + 1);
        // Only a known end that is long enough shows that the suffix is not there.
        (end == 0 || self.name.len() - end >= FIFO_SUFFIX.len()).then_some(false)
    }
}

/// What a FIFO queue's name ends in.
pub(crate) const FIFO_SUFFIX: &str = ".fifo";
