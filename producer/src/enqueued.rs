//! Logs the first line of a job's life: SQS has accepted it. See `docs/job-log.md`.

use tracing::{Level, enabled, info};

use crate::pack::Outgoing;
use crate::send::{NotTaken, Taken};

/// Logs one line for each message of a batch that SQS has accepted.
pub(crate) fn enqueued(queue_url: &str, batch: &[Outgoing], results: &[Result<Taken, NotTaken>]) {
    if !enabled!(Level::INFO) {
        return;
    }
    let queue = queue_url.rsplit('/').next().unwrap_or_default();
    for (message, result) in batch.iter().zip(results) {
        let Ok(taken) = result else { continue };
        let job_id = message.job_id.as_deref().unwrap_or(&taken.message_id);
        info!(
            event = "enqueued",
            queue,
            "type" = message.job_type,
            job_id,
            message_id = taken.message_id,
            correlation_id = message.correlation_id.as_deref().unwrap_or(job_id),
            delay_ms = message.delay_secs.map(|delay| u64::from(delay) * 1_000),
            "enqueued"
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::send::Why;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_what_sqs_has_taken_is_enqueued() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let message = |job_id: Option<&str>, correlation_id: Option<&str>| Outgoing {
            job_type: "email.send".to_owned(),
            job_id: job_id.map(Arc::from),
            correlation_id: correlation_id.map(Arc::from),
            delay_secs: correlation_id.map(|_| 2),
            ..Outgoing::default()
        };
        let batch = [message(Some("j"), Some("req-77")), message(None, None), message(Some("k"), None)];
        let taken = |id: &str| Ok(Taken { message_id: id.to_owned(), sequence_number: None });
        let results = [taken("m1"), taken("m2"), Err(NotTaken { why: Why::Refused, text: String::new() })];
        tracing::subscriber::with_default(subscriber, || {
            enqueued("https://sqs.eu-west-1.amazonaws.com/1/jobs", &batch, &results);
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let fields = ["event", "queue", "type", "job_id", "message_id", "correlation_id"];
        let seen: Vec<Vec<&str>> =
            lines.iter().map(|line| fields.map(|field| line[field].as_str().unwrap()).to_vec()).collect();
        assert_eq!(
            seen,
            [
                vec!["enqueued", "jobs", "email.send", "j", "m1", "req-77"],
                vec!["enqueued", "jobs", "email.send", "m2", "m2", "m2"]
            ]
        );
        assert_eq!((&lines[0]["delay_ms"], lines[1].get("delay_ms")), (&2_000.into(), None));
    }
}
