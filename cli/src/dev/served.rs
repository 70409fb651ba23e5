//! The queue that `dev` serves, and what `dev` shows of its jobs.

use std::collections::HashSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_queue::api::SendMessage;
use drumline_queue::{Endpoint, Server};
use drumline_runtime::{PORT_PATIENCE, program, raise_descriptor_limit, when_free};

use super::example::{Example, FIFO_SUFFIX};
use crate::format::{count, note};
use crate::output::print;
use crate::service::DevJob;
use crate::view::View;

/// The names of a queue and its DLQ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub(super) queue: &'static str,
    dead_letters: &'static str,
}

impl Names {
    fn is_fifo(self) -> bool {
        self.queue.ends_with(FIFO_SUFFIX)
    }
}

pub(super) const STANDARD: Names = Names { queue: "jobs", dead_letters: "jobs-dlq" };

#[cfg(feature = "function")]
pub(super) const FIFO: Names = Names { queue: "jobs.fifo", dead_letters: "jobs-dlq.fifo" };

/// The number of receives after which a message goes to the DLQ.
const MAX_RECEIVE_COUNT: u32 = 5;

/// Retries are quick because the user waits for them.
pub(super) const RETRY: &str = "exponential(1s,2,5s)";

/// The time between two checks of the queues: short enough to seem immediate.
const LOOK: Duration = Duration::from_millis(50);

/// Prints that the command waits for a port in use.
pub(super) fn note_in_use(addr: SocketAddr) {
    note(&format!("the address {addr} is in use; retrying for {PORT_PATIENCE:?}"));
}

/// The queue that is served.
pub(super) struct Dev {
    pub(super) server: Server,
    pub(super) names: Names,
    pub(super) queue_url: String,
    dead_letter_url: String,
    pub(super) view: Arc<View>,
    /// A sentence that says where the histories of the consumer are.
    pub(super) histories: Option<String>,
}

impl Dev {
    /// Serves the queue and its DLQ, both empty.
    pub(super) async fn start(addr: SocketAddr, allow_remote: bool, names: Names) -> Result<Self, ExitError> {
        if !addr.ip().to_canonical().is_loopback() && !allow_remote {
            return Err(ExitError::usage(format!(
                "--sqs-addr {addr} can be reached from other machines, and the queue takes any credentials: use 127.0.0.1, or add \
                 --allow-remote if all who reach the address may send, read and delete messages"
            )));
        }
        raise_descriptor_limit();
        let server = when_free(async || Server::bind(addr).await, || note_in_use(addr)).await;
        let server = server.map_err(|error| {
            ExitError::unavailable(format!(
                "cannot serve the queue on {addr}: {error}; --sqs-addr takes another address"
            ))
        })?;
        let Names { queue, dead_letters } = names;
        let urls = server.endpoint().create_queue_with_dead_letters(queue, dead_letters, MAX_RECEIVE_COUNT);
        let (queue_url, dead_letter_url) = urls.map_err(|error| ExitError::other(error.to_string()))?;
        Ok(Self { server, names, queue_url, dead_letter_url, view: Arc::new(View::new()), histories: None })
    }

    /// Sends the samples.
    pub(super) fn send(&self, samples: &[DevJob]) -> Result<(), ExitError> {
        for (number, job) in samples.iter().enumerate() {
            let request = SendMessage {
                queue_url: self.queue_url.clone(),
                message_body: job.body.clone(),
                // The samples do not wait for each other.
                message_group_id: self.names.is_fifo().then(|| format!("sample-{number}")),
                ..SendMessage::default()
            };
            let sent = self.endpoint().call(|sqs, now| sqs.send_message(now, request));
            let id = sent.map_err(|error| ExitError::other(error.to_string()))?.message_id;
            self.view.add(&id, &job.label, &job.outputs);
        }
        Ok(())
    }

    /// Shows how the samples end, and unless it is `once`, how to send more jobs. Returns when the command should end.
    pub(super) async fn present(
        &self,
        once: bool,
        folder: Option<&Path>,
        example: &Example,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ExitError> {
        let mut signal = std::pin::pin!(stop);
        let drained = async {
            self.watch(false).await;
            self.show(folder)?;
            match &self.histories {
                Some(text) => print(|out| writeln!(out, "\n{text}")),
                None => Ok(()),
            }
        };
        tokio::select! {
            () = &mut signal => return Ok(()),
            shown = drained => shown?,
        }
        if !once {
            self.explain(example.request(), example)?;
            tokio::select! {
                () = &mut signal => {}
                () = self.watch(true) => {}
            }
        }
        Ok(())
    }

    /// Watches the DLQ until every job has ended, or without end if `for_ever` is true.
    async fn watch(&self, for_ever: bool) {
        let mut seen = HashSet::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            for message in self.endpoint().peek(&self.dead_letter_url).unwrap_or_default() {
                if seen.insert(Arc::clone(&message.message_id)) {
                    self.view.dead_lettered(&message.message_id);
                }
            }
            let empty = self.endpoint().peek(&self.queue_url).is_ok_and(|messages| messages.is_empty());
            if !for_ever && empty && self.view.is_drained() {
                return;
            }
        }
    }

    /// Prints the outcome and the output files of the samples. Without a folder there are no samples.
    fn show(&self, folder: Option<&Path>) -> Result<(), ExitError> {
        self.view.clear();
        let Some(folder) = folder else {
            return print(|out| writeln!(out, "There are no sample jobs."));
        };
        let folder = folder.canonicalize()?;
        let dead = self.endpoint().peek(&self.dead_letter_url).unwrap_or_default();
        print(|out| {
            writeln!(out, "{}", self.view.table(&folder))?;
            writeln!(out, "Files are in {}", folder.display())?;
            writeln!(out, "\n{} in {}:", count(dead.len(), "message"), self.names.dead_letters)?;
            dead.iter().try_for_each(|message| {
                let reason = self.view.reason(&message.message_id);
                let reason = reason.as_deref().unwrap_or("received too often");
                writeln!(
                    out,
                    "  {}  received {}: {reason}",
                    message.message_id,
                    count(message.receive_count as usize, "time")
                )
            })
        })
    }

    /// Prints the address of the queue and how to send `example`; `request` is the sentence that introduces it.
    pub(super) fn explain(&self, request: &str, example: &Example) -> Result<(), ExitError> {
        let (endpoint, queue_url) = (self.server.endpoint_url(), &self.queue_url);
        let commands = example.commands(program(), &endpoint, queue_url);
        print(|out| {
            writeln!(
                out,
                "\nSQS endpoint {endpoint}, queue {queue_url}, until Ctrl-C. {request}:\n{commands}"
            )
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}
