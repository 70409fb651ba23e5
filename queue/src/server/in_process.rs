//! Queues without a socket.

use tokio::task::JoinHandle;

use super::endpoint::Endpoint;
use crate::sqs::Identity;

/// The URL prefix of an in-process server's queues. Nothing listens there.
const URL: &str = "http://localhost";

/// Queues for use in one process: a [`Server`](super::Server) without a socket. Dropping it stops its alarm: from then on, the
/// passing of time alone answers no waiting receive.
///
/// Its clock is tokio's, and without a socket a test can pause that clock:
///
/// ```
/// use drumline_queue::{InProcess, api::ReceiveMessage};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), drumline_queue::SqsError> {
/// let queues = InProcess::start();
/// let url = queues.endpoint().create_queue("jobs", &[("DelaySeconds", "900"), ("ReceiveMessageWaitTimeSeconds", "20")])?;
/// queues.endpoint().send(&url, "hello")?;
/// let receive = || queues.endpoint().receive(ReceiveMessage { queue_url: url.clone(), ..Default::default() });
/// while receive().await?.messages.is_empty() {}
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InProcess {
    endpoint: Endpoint,
    alarm: JoinHandle<()>,
}

impl InProcess {
    /// Starts without queues on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn start() -> Self {
        let endpoint = Endpoint::new(Identity::at(URL));
        let alarm = tokio::spawn(endpoint.clone().ring());
        Self { endpoint, alarm }
    }

    /// Returns the handle to the queues.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.alarm.abort();
    }
}
