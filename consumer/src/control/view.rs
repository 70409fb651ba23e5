//! The orders that a worker follows, as `/control` returns them.

use serde::{Deserialize, Serialize};

use super::orders::Orders;

/// The orders that a worker follows, and what comes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlView {
    /// The worker's name.
    pub worker: String,
    /// Its queues.
    pub queues: Vec<QueueView>,
    /// The job types for which an order holds.
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
    /// The reasons for which it is not received from.
    pub pauses: Vec<String>,
    /// The number of handlers that run at once.
    pub concurrency: usize,
    /// The number that the settings say.
    pub configured_concurrency: usize,
    /// The messages in hand: waiting, running, or not yet settled.
    pub in_hand: usize,
    /// The runs that have not ended.
    pub running: usize,
    /// It is paused by an operator, nothing of it is in hand, and no open receive can bring more.
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
    /// When it has last answered, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at_ms: Option<u64>,
}
