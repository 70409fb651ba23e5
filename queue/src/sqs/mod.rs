//! The state machine: all queues of one endpoint.

mod machine;
mod move_task;
mod moves;
mod peek;
mod queues;
mod receive;
mod send;
mod settle;

pub(crate) use machine::queue_name;
pub use machine::{Identity, Sqs};
pub use peek::{MessageState, PeekedMessage};
