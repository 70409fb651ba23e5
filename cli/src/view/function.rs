//! The jobs of a Lambda function, as its event source mapping observes them.

use drumline_lambda_local::{MappingEvent, Verdict};
use drumline_queue::api::ReceivedMessage;
use serde::Deserialize;

use super::{End, View, line};
use crate::format::one_line;

/// The part of a body that identifies the job.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    job_type: Option<String>,
}

impl View {
    /// Shows an event of a mapping.
    pub(crate) fn mapped(&self, event: MappingEvent<'_>) {
        match event {
            MappingEvent::Invoking(messages) => {
                for message in messages {
                    self.invoking(message);
                }
            }
            MappingEvent::Invoked { messages, verdict, .. } => {
                for message in messages {
                    self.invoked(message, verdict);
                }
            }
            MappingEvent::NotDeleted { message_id, error } => {
                self.change(message_id, |job| {
                    // The job is not done: its message is redelivered.
                    (job.end, job.took) = (None, None);
                    Some(format!("could not be deleted, and is redelivered: {}", one_line(error)))
                });
            }
        }
    }

    /// Takes the reason of a failure from the function's log.
    pub(crate) fn reason_logged(&self, message_id: &str, reason: &str) {
        self.change(message_id, |job| {
            job.reason = Some(one_line(reason));
            None
        });
    }

    /// Prints a line above the progress bars.
    pub(crate) fn print(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| line(text)),
            None => line(text),
        }
    }

    fn invoking(&self, message: &ReceivedMessage) {
        let id = &*message.message_id;
        self.add(id, &label(message), &[]);
        self.change(id, |job| {
            job.attempts = message.attributes.approximate_receive_count.unwrap_or(1);
            Some(format!("receive {}: given to the function", job.attempts))
        });
    }

    fn invoked(&self, message: &ReceivedMessage, verdict: &Verdict) {
        let id = &*message.message_id;
        self.change(id, |job| {
            if verdict.keeps(id) {
                let reason = match verdict {
                    // The function's own log contains more than its response.
                    Verdict::Failure(reason) => job.reason.insert(one_line(reason)),
                    _ => job.reason.get_or_insert_with(|| "listed in batchItemFailures".to_owned()),
                };
                return Some(format!("stays in the queue: {reason}"));
            }
            job.finish(End::Done);
            if verdict.lists(id) {
                let text =
                    "deleted although it failed: without ReportBatchItemFailures the response is ignored";
                job.end = Some(End::Lost);
                job.reason = Some(text.to_owned());
                return Some(text.to_owned());
            }
            let took = job.took.unwrap_or_default();
            Some(format!("done in {:.2} s", took.as_secs_f64()))
        });
    }
}

/// Returns the name of a message in the output: its job's type and id.
fn label(message: &ReceivedMessage) -> String {
    match serde_json::from_str(&message.body) {
        Ok(Named { job_type: Some(job_type) }) => format!("{} {}", one_line(&job_type), message.message_id),
        _ => format!("a message without a known type {}", message.message_id),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;
    use std::sync::Mutex;
    use std::time::Duration;

    use bytes_of::received;
    use drumline_lambda_local::Invoked;

    use super::*;

    mod bytes_of {
        use drumline_queue::Server;
        use drumline_queue::api::{ReceiveMessage, ReceivedMessage};

        /// Returns messages as a queue delivers them.
        pub(super) async fn received(bodies: &[&str]) -> Vec<ReceivedMessage> {
            let server = Server::bind("127.0.0.1:0").await.unwrap();
            let url = server.endpoint().create_queue("q", &[]).unwrap();
            for body in bodies {
                server.endpoint().send(&url, body).unwrap();
            }
            let request = ReceiveMessage {
                queue_url: url,
                max_number_of_messages: Some(10),
                message_system_attribute_names: vec!["All".to_owned()],
                ..ReceiveMessage::default()
            };
            server.endpoint().receive(request).await.unwrap().messages
        }
    }

    fn view() -> View {
        View { state: Mutex::default(), bars: None }
    }

    fn end(view: &View, messages: &[ReceivedMessage], verdict: &Verdict) {
        let invoked = Invoked {
            request_id: "r".to_owned(),
            result: Ok("{}".into()),
            duration: Duration::ZERO,
            init: None,
            max_memory_mb: None,
        };
        view.mapped(MappingEvent::Invoking(messages));
        view.mapped(MappingEvent::Invoked { messages, invoked: &invoked, verdict });
    }

    #[tokio::test]
    async fn a_batch_is_shown_message_by_message() {
        let (view, messages) = (view(), received(&[r#"{"type":"a.b"}"#, "plain"]).await);
        let failed = &*messages[1].message_id;
        end(&view, &messages, &Verdict::Partial([failed.to_owned()].into()));
        assert!(!view.is_drained());
        let table = view.table(Path::new("/")).to_string();
        assert!(table.contains("a.b ") && table.contains("listed in batchItemFailures"), "{table}");

        view.reason_logged(failed, "no such\ncustomer");
        view.dead_lettered(failed);
        let table = view.table(Path::new("/")).to_string();
        assert!(view.is_drained() && table.contains("no such customer"), "{table}");
    }

    #[tokio::test]
    async fn a_failure_that_lambda_deletes_is_shown_as_lost() {
        let (view, messages) = (view(), received(&["{}"]).await);
        end(&view, &messages, &Verdict::Ignored([messages[0].message_id.to_string()].into()));
        let table = view.table(Path::new("/")).to_string();
        assert!(
            view.is_drained() && table.contains("lost") && table.contains("ReportBatchItemFailures"),
            "{table}"
        );
    }
}
