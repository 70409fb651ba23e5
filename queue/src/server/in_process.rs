//! Queues without a socket.

use tokio::task::JoinHandle;

use super::endpoint::Endpoint;
use crate::sqs::Identity;

/// The URL that the queues of a process pretend to have. Nothing is reached by it.
const URL: &str = "http://localhost";

/// Queues for use in one process: a [`Server`](super::Server) without a socket. Dropping it ends their alarm: time alone lets no
/// waiting receive through from then on.
///
/// Its clock is tokio's, and without a socket a test may pause that:
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
    /// Starts on the current tokio runtime, without any queue.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start() -> Self {
        let endpoint = Endpoint::new(Identity::at(URL));
        let alarm = tokio::spawn(endpoint.clone().ring());
        Self { endpoint, alarm }
    }

    /// The queues.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.alarm.abort();
    }
}
