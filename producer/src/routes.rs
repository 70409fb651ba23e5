//! The queues of a producer, by job type.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use drumline_runtime::aws::Clients;
use url::Url;

use crate::check::Checks;
use crate::connections::Connections;
use crate::error::Refusal;
use crate::later::Places;
use crate::payload::PayloadStore;
use crate::schemas::Schemas;
use crate::send::InDoubt;
use crate::target_queue::TargetQueue;

/// The queues of a producer.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    /// The client for queues that are added.
    pub(crate) client: Client,
    pub(crate) others: Others,
    pub(crate) by_type: BTreeMap<String, TargetQueue>,
    pub(crate) in_doubt: InDoubt,
    pub(crate) checks: Checks,
    pub(crate) payloads: Option<PayloadStore>,
    pub(crate) schemas: Schemas,
    /// For a producer created with settings: the clients of its first queue, and all clients.
    pub(crate) connections: Option<(Clients, Arc<Connections>)>,
    /// The URLs of the queues in the settings, including those without a job type.
    pub(crate) urls: Vec<Url>,
    pub(crate) places: Places,
}

/// The queue for job types without an assigned queue.
#[derive(Debug, Clone)]
pub(crate) enum Others {
    Nowhere,
    To(TargetQueue),
    /// The names of queues, none of which is the default.
    Undecided(Vec<String>),
}

impl Routes {
    pub(crate) fn new(client: Client, others: Others) -> Self {
        Self {
            client,
            others,
            by_type: BTreeMap::new(),
            in_doubt: InDoubt::default(),
            checks: Checks::default(),
            payloads: None,
            schemas: Schemas::default(),
            connections: None,
            urls: Vec::new(),
            places: Places::default(),
        }
    }

    /// Sets the checks of messages.
    pub(crate) fn check_by(&mut self, checks: Checks) {
        let most = self.payloads.as_ref().map(PayloadStore::max_bytes);
        self.checks = checks.with_max_bytes(most);
    }

    /// Sets the store for the bodies of large messages.
    pub(crate) fn offload_to(&mut self, store: PayloadStore) {
        self.payloads = Some(store);
        self.check_by(self.checks.clone());
    }

    /// Returns the queue of a job type.
    pub(crate) fn queue_of(&self, job_type: &str) -> Result<TargetQueue, Refusal> {
        let refused = |reason: String| Refusal::new(job_type, "queue", reason);
        let queue = match (self.by_type.get(job_type), &self.others) {
            (Some(queue), _) | (None, Others::To(queue)) => queue,
            (None, Others::Nowhere) => {
                return Err(refused(format!(
                    "none is set for this type: set DRUMLINE_QUEUE_URL, or \"{job_type}\" = \"URL\" under [queue_by_type] in the file \
                     of settings (in code: Producer::queue_for)"
                )));
            }
            (None, Others::Undecided(names)) => {
                return Err(refused(format!(
                    "DRUMLINE_QUEUE_URL names several ({}), and none is set for this type: set \"{job_type}\" = \"URL\" under \
                     [queue_by_type] in the file of settings (in code: Producer::queue_for)",
                    names.join(", ")
                )));
            }
        };
        Ok(self.set_up(queue.clone()))
    }

    /// Returns all queues.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &TargetQueue> {
        let other = match &self.others {
            Others::To(queue) => Some(queue),
            Others::Nowhere | Others::Undecided(_) => None,
        };
        self.by_type.values().chain(other)
    }

    /// Returns a queue with the options that all queues share.
    pub(crate) fn set_up(&self, queue: TargetQueue) -> TargetQueue {
        queue.with(self.in_doubt, self.payloads.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use aws_sdk_sqs::config::BehaviorVersion;
    use drumline_runtime::Settings;

    use super::*;
    use crate::connect::routes;
    use crate::connect_error::ConnectError;

    async fn read(queues: &str, file: &str) -> Result<Routes, ConnectError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drumline.toml");
        std::fs::write(&path, file).unwrap();
        let environment = |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| queues.to_owned());
        routes(&Settings::read_for_tool(&BTreeMap::new(), environment, Some(&path)).unwrap()).await
    }

    fn named(routes: &Routes, job_type: &str) -> Result<String, String> {
        let queue = routes.queue_of(job_type);
        queue.map(|queue| queue.url().to_owned()).map_err(|refusal| refusal.to_string())
    }

    const JOBS: &str = "http://127.0.0.1:9324/000000000000/jobs";
    const MAIL: &str = "http://127.0.0.1:9324/000000000000/mail.fifo";

    #[tokio::test]
    async fn a_type_has_its_own_queue_or_the_only_one() {
        let mail = format!("[queue_by_type]\n\"email.send\" = \"{MAIL}\"");
        let one = read(JOBS, &mail).await.unwrap();
        assert_eq!(named(&one, "email.send").as_deref(), Ok(MAIL));
        assert_eq!(named(&one, "other").as_deref(), Ok(JOBS));
        assert!(one.queue_of("email.send").unwrap().is_fifo());

        let several = read(&format!("{JOBS},{MAIL}"), &mail).await.unwrap();
        assert_eq!(named(&several, "email.send").as_deref(), Ok(MAIL));
        let error = named(&several, "other").unwrap_err();
        assert!(error.contains("names several (jobs, mail.fifo)"), "{error}");
        assert!(error.contains("set \"other\" = \"URL\" under [queue_by_type]"), "{error}");

        let none = read("", &mail).await.unwrap();
        assert_eq!(named(&none, "email.send").as_deref(), Ok(MAIL));
        let error = named(&none, "other").unwrap_err();
        assert!(error.contains("set DRUMLINE_QUEUE_URL, or \"other\""), "{error}");

        let error = read("", "").await.unwrap_err();
        assert!(error.to_string().contains("no queue is given: set DRUMLINE_QUEUE_URL"), "{error}");
    }

    #[test]
    fn queues_are_added_in_code() {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.build());
        let producer = crate::Producer::new(client, JOBS).queue_for("email.send", MAIL);
        let shown = format!("{producer:?}");
        assert!(shown.contains(JOBS) && shown.contains(MAIL), "{shown}");
    }
}
