//! Alerts that wait for their delivery.

use drumline_dlq::alert::Alert;

use super::delivery::Alerts;
use super::problems::{Problem, Problems};
use crate::metrics::Metrics;

/// The maximum number of alerts that wait while their target does not answer.
const MAX_WAITING: usize = 100;

/// The waiting alerts of one watch, if there is a target.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) target: Option<Alerts>,
    waiting: Vec<Alert>,
    dropped: usize,
}

impl Outbox {
    /// Returns the waiting alerts.
    pub(super) fn waiting(&self) -> &[Alert] {
        &self.waiting
    }

    /// Returns the number of alerts that were not delivered.
    pub(super) fn undelivered(&self) -> usize {
        self.waiting.len() + self.dropped
    }

    /// Removes the waiting alerts, because another leader has them.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Delivers these alerts after the waiting ones, until the target does not answer.
    pub(super) async fn deliver(
        &mut self,
        alerts: Vec<Alert>,
        dlq: &str,
        metrics: Option<&Metrics>,
        problems: &mut Problems,
    ) {
        let Some(target) = &self.target else { return };
        self.waiting.extend(alerts);
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        for alert in self.waiting.drain(..excess) {
            self.dropped += 1;
            problems.lose(&alert.fingerprint.to_string(), "too many alerts wait for delivery");
        }
        while let Some(alert) = self.waiting.first() {
            let delivered = target.deliver(alert).await;
            if let Some(metrics) = metrics {
                metrics.alert(dlq, if delivered.is_ok() { "ok" } else { "failed" });
            }
            match delivered {
                Ok(()) => problems.end(Problem::Delivery),
                Err(refusal) if refusal.is_final => {
                    self.dropped += 1;
                    problems.lose(&alert.fingerprint.to_string(), &refusal.text);
                }
                Err(failure) => {
                    problems.begin(Problem::Delivery, &failure.text);
                    return;
                }
            }
            self.waiting.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use axum::http::StatusCode;
    use axum::routing::post;
    use drumline_aws::Environment;
    use drumline_dlq::alert::Others;
    use drumline_dlq::fingerprint::Fingerprint;
    use drumline_runtime::AlertTarget;
    use tokio::net::TcpListener;

    use super::*;

    fn alert(reason: &str) -> Alert {
        Alert {
            dlq: "jobs-dlq".to_owned(),
            origin: None,
            job_type: None,
            class: None,
            fingerprint: Fingerprint::of_reason(reason),
            reason: reason.to_owned(),
            count: 1,
            is_sample: false,
            is_new: true,
            first_at_ms: 7,
            depth: None,
            others: Others::default(),
        }
    }

    #[tokio::test]
    async fn a_refused_alert_blocks_no_other_and_an_outage_keeps_all() {
        let is_down = Arc::new(Mutex::new(true));
        let accepted = Arc::new(Mutex::new(0));
        let (down, counted) = (Arc::clone(&is_down), Arc::clone(&accepted));
        let answer = async move |body: String| {
            if *down.lock().unwrap() {
                return StatusCode::NOT_FOUND;
            }
            if body.contains("malformed") {
                return StatusCode::BAD_REQUEST;
            }
            *counted.lock().unwrap() += 1;
            StatusCode::OK
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/", post(answer));
        tokio::spawn(async { axum::serve(listener, router).await });
        let bare = Environment::from([("AWS_PROFILE", ""); 0]);
        let target = Alerts::with(AlertTarget::parse(&url).unwrap(), None, &bare).await.unwrap();
        let mut outbox = Outbox { target: Some(target), ..Outbox::default() };
        let problems_seen = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&problems_seen);
        let mut problems = Problems::new("jobs-dlq".to_owned());
        problems.on_problem = Some(Box::new(move |problem| seen.lock().unwrap().push(problem.to_owned())));

        let alerts = vec![alert("malformed"), alert("too late")];
        outbox.deliver(alerts, "jobs-dlq", None, &mut problems).await;
        outbox.deliver(Vec::new(), "jobs-dlq", None, &mut problems).await;
        assert_eq!((outbox.waiting().len(), outbox.undelivered()), (2, 2));
        assert_eq!(*problems_seen.lock().unwrap(), ["alert not delivered: it answers 404 Not Found"]);

        *is_down.lock().unwrap() = false;
        outbox.deliver(vec![alert("no user")], "jobs-dlq", None, &mut problems).await;
        assert_eq!((outbox.waiting().len(), outbox.undelivered(), *accepted.lock().unwrap()), (0, 1, 2));
        let last = problems_seen.lock().unwrap().pop().unwrap();
        assert!(last.contains("dropped: it answers 400 Bad Request"), "{last}");

        *is_down.lock().unwrap() = true;
        let many = (0..103).map(|_| alert("no user")).collect();
        outbox.deliver(many, "jobs-dlq", None, &mut problems).await;
        assert_eq!((outbox.waiting().len(), outbox.undelivered()), (100, 104));
    }
}
