//! Creating, finding, describing and tagging queues.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// [CreateQueue](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateQueue {
    /// 1 to 80 letters, digits, hyphens and underscores; a FIFO queue's ends in `.fifo`.
    pub queue_name: String,
    /// Attributes that differ from SQS's defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags to begin with. The JSON protocol writes this one in lower case.
    #[serde(rename = "tags")]
    pub tags: BTreeMap<String, String>,
}

/// The reply to [`CreateQueue`] and [`GetQueueUrl`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct QueueUrlReply {
    /// The queue's URL.
    pub queue_url: String,
}

/// [GetQueueUrl](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetQueueUrl {
    /// The queue's name.
    pub queue_name: String,
}

/// A request with only a queue: `DeleteQueue`, `PurgeQueue`, `ListQueueTags`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OneQueue {
    /// The queue's URL, or just its name.
    pub queue_url: String,
}

/// [ListQueues](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListQueues {
    /// Only queues whose names begin with this text.
    pub queue_name_prefix: Option<String>,
    /// At most this many, 1 to 1,000.
    pub max_results: Option<i64>,
    /// The token of the next page, from the previous reply.
    pub next_token: Option<String>,
}

/// The reply to [`ListQueues`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListQueuesReply {
    /// URLs in name order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue_urls: Vec<String>,
    /// The start of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// [ListDeadLetterSourceQueues](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListDeadLetterSourceQueues {
    /// The dead-letter queue's URL, or just its name.
    pub queue_url: String,
    /// At most this many, 1 to 1,000.
    pub max_results: Option<i64>,
    /// The token of the next page, from the previous reply.
    pub next_token: Option<String>,
}

/// The reply to [`ListDeadLetterSourceQueues`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListDeadLetterSourceQueuesReply {
    /// URLs in name order. The JSON protocol writes this one in lower case.
    #[serde(rename = "queueUrls")]
    pub queue_urls: Vec<String>,
    /// The start of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// [GetQueueAttributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetQueueAttributes {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// The attributes wanted, or `All`.
    pub attribute_names: Vec<String>,
}

/// The reply to [`GetQueueAttributes`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetQueueAttributesReply {
    /// Values by name; attributes the queue does not have are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// [SetQueueAttributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SetQueueAttributes {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// The attributes to change.
    pub attributes: BTreeMap<String, String>,
}

/// [TagQueue](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagQueue {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// Tags to add or replace.
    pub tags: BTreeMap<String, String>,
}

/// [UntagQueue](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UntagQueue {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// Keys to remove.
    pub tag_keys: Vec<String>,
}

/// The reply to `ListQueueTags`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListQueueTagsReply {
    /// The queue's tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}
