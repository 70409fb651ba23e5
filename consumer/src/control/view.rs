//! The orders that a worker follows, as returned by `/control`.

use serde::{Deserialize, Serialize};

use super::orders::Orders;

/// The orders that a worker follows, and their effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlView {
    /// The worker's name.
    pub worker: String,
    /// Its queues.
    pub queues: Vec<QueueView>,
    /// The job types with active orders.
    pub types: Vec<TypeView>,
    /// The store whose orders it follows; `None` if it follows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreView>,
}

/// A queue of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// The reasons why the queue is not received from.
    pub pauses: Vec<String>,
    /// The number of handlers that may run concurrently.
    pub concurrency: usize,
    /// The number in the settings.
    pub configured_concurrency: usize,
    /// The messages in hand: waiting, running, or not yet settled.
    pub in_hand: usize,
    /// The runs that have not ended.
    pub running: usize,
    /// True if an operator has paused it, none of its messages is in hand, and no open receive can return one.
    pub drained: bool,
    /// The orders that were given to this worker.
    #[serde(default)]
    pub here: Orders,
    /// The orders for all workers.
    #[serde(default)]
    pub everywhere: Orders,
}

/// A job type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeView {
    /// Its name.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The orders that were given to this worker.
    #[serde(default)]
    pub here: Orders,
    /// The orders for all workers.
    #[serde(default)]
    pub everywhere: Orders,
}

/// The store whose orders a worker follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreView {
    /// The time of its last answer, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at_ms: Option<u64>,
}
