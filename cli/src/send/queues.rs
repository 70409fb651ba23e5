//! The queues of a send by job type.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_runtime::Settings;
use drumline_runtime::aws::{Clients, is_fifo, queue_name};
use url::Url;

use crate::connection::connect_to;

/// The queues to which jobs may go. A queue's index is its position among all queues.
pub(super) struct Queues {
    urls: Vec<Url>,
    by_type: BTreeMap<String, usize>,
    others: Others,
}

/// The queue for job types without an assigned queue.
enum Others {
    Nowhere,
    To(usize),
    /// The names of queues, none of which is the default.
    Undecided(Vec<String>),
}

/// A queue with its clients.
pub(super) struct Queue {
    pub(super) clients: Clients,
    pub(super) url: String,
    pub(super) is_fifo: bool,
}

impl Queues {
    /// Uses one queue for all jobs.
    pub(super) fn one(url: Url) -> Self {
        Self { urls: vec![url], by_type: BTreeMap::new(), others: Others::To(0) }
    }

    /// Returns the queues of the settings `queue_url` and `queue_by_type`.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings name none.
    pub(super) fn of_settings(settings: &Settings) -> Result<Self, ExitError> {
        let mut urls: Vec<Url> = Vec::new();
        let mut index = |url: &Url| {
            urls.iter().position(|known| known == url).unwrap_or_else(|| {
                urls.push(url.clone());
                urls.len() - 1
            })
        };
        let others = match &settings.queues[..] {
            [] => Others::Nowhere,
            [only] => Others::To(index(&only.url)),
            several => {
                Others::Undecided(several.iter().map(|of| queue_name(of.url.as_str()).to_owned()).collect())
            }
        };
        let by_type = settings.queue_by_type.iter();
        let by_type: BTreeMap<String, usize> =
            by_type.map(|(job_type, url)| (job_type.clone(), index(url))).collect();
        if by_type.is_empty() && matches!(others, Others::Nowhere) {
            return Err(ExitError::usage("no queue is given: set --queue-url or DRUMLINE_QUEUE_URL"));
        }
        let queues = Self { urls, by_type, others };
        if queues.urls.is_empty() {
            // Several queues, and no type is assigned to any of them.
            return Err(ExitError::usage(queues.missing("TYPE")));
        }
        Ok(queues)
    }

    /// Returns the queue of a job type.
    ///
    /// # Errors
    ///
    /// Returns an error with the missing settings if it has none.
    pub(super) fn of_type(&self, job_type: &str) -> Result<usize, String> {
        match (self.by_type.get(job_type), &self.others) {
            (Some(queue), _) | (None, Others::To(queue)) => Ok(*queue),
            (None, Others::Nowhere | Others::Undecided(_)) => Err(self.missing(job_type)),
        }
    }

    fn missing(&self, job_type: &str) -> String {
        let set = format!("\"{job_type}\" = \"URL\" under [queue_by_type] in the file of settings");
        match &self.others {
            Others::Undecided(names) => format!(
                "DRUMLINE_QUEUE_URL names several queues ({}), and none is set for this type: set {set}, or give --queue-url",
                names.join(", ")
            ),
            _ => format!(
                "no queue is set for this type: set DRUMLINE_QUEUE_URL, or {set}, or give --queue-url"
            ),
        }
    }

    /// Returns only the queue of a job type.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`of_type`](Self::of_type).
    pub(super) fn only(&self, job_type: &str) -> Result<Self, ExitError> {
        let queue = self.of_type(job_type).map_err(|why| ExitError::usage(format!("{job_type}: {why}")))?;
        Ok(Self::one(self.urls[queue].clone()))
    }

    /// Returns true if this queue is a FIFO queue.
    pub(super) fn is_fifo(&self, queue: usize) -> bool {
        is_fifo(self.urls[queue].path())
    }

    /// Returns for each queue if it is a FIFO queue.
    pub(super) fn fifos(&self) -> Vec<bool> {
        self.urls.iter().map(|url| is_fifo(url.path())).collect()
    }

    /// Sets up the clients of all queues.
    pub(super) async fn connect(&self) -> Result<Vec<Queue>, ExitError> {
        let mut queues = Vec::with_capacity(self.urls.len());
        for url in &self.urls {
            let (clients, found) = connect_to(url, Duration::ZERO).await?;
            queues.push(Queue { clients, url: found.into(), is_fifo: is_fifo(url.path()) });
        }
        Ok(queues)
    }

    /// Returns the text that identifies the queues in a journal: the URL of the only queue, otherwise also the types of each.
    pub(super) fn identity(&self, connected: &[Queue]) -> String {
        if let [only] = connected {
            return only.url.clone();
        }
        let typed =
            self.by_type.iter().map(|(job_type, queue)| format!("{job_type}={}", connected[*queue].url));
        let other = match &self.others {
            Others::To(queue) => Some(connected[*queue].url.clone()),
            Others::Nowhere | Others::Undecided(_) => None,
        };
        typed.chain(other).collect::<Vec<_>>().join(" ")
    }
}
