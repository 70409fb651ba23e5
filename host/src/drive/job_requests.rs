//! The way of orders about jobs to the loop of a queue.

use tokio::sync::{mpsc, oneshot};

use super::input::Input;
use super::job_order::{JobAnswer, JobOrder, JobRequest};

/// Passes orders about jobs to the loop of a queue.
#[derive(Clone)]
pub struct JobRequests(pub(super) mpsc::Sender<Input>);

impl JobRequests {
    /// Gives an order whose answer does not matter, before anything that comes later.
    pub fn post(&self, order: JobOrder) {
        let (answer, _) = oneshot::channel();
        // Such orders are few, and its loop has room for many.
        let _ = self.0.try_send(Input::Job(JobRequest { order, answer }));
    }

    /// Gives an order, and waits for the answer. The answer of a loop that has ended is that it knows nothing.
    pub async fn give(&self, order: JobOrder) -> JobAnswer {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Input::Job(JobRequest { order, answer })).await.is_err() {
            return JobAnswer::Unknown;
        }
        answered.await.unwrap_or(JobAnswer::Unknown)
    }
}
