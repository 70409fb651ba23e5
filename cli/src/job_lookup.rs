//! The source of job histories for commands: the shared store, or with `memory:` the worker that holds them in memory.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_consumer::job_list::{self, ListQuery};
use drumline_consumer::job_view::{JobFilter, JobView};
use drumline_runtime::{SecretText, Settings};
use drumline_store::{Location, Store, StoreError, open};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::own_endpoint;
use crate::settings_args::Choice;

/// The settings that determine the place of histories.
#[derive(Debug)]
pub(crate) enum HistorySettings {}

impl Choice for HistorySettings {
    fn includes(key: &str) -> bool {
        matches!(key, "store_url" | "http_addr" | "http_token")
    }
}

/// The place of histories.
#[derive(Clone)]
pub(crate) enum Histories {
    Store(Arc<dyn Store>),
    Worker { addr: SocketAddr, token: Option<SecretText> },
}

/// The reason why a lookup was not answered.
#[derive(Debug)]
pub(crate) enum LookupError {
    /// The settings are invalid for lookups.
    Settings(String),
    /// The store or worker did not answer, or the response was not a worker's.
    Unavailable(String),
}

impl LookupError {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Settings(text) | Self::Unavailable(text) => text,
        }
    }
}

impl From<LookupError> for ExitError {
    fn from(silence: LookupError) -> Self {
        match silence {
            LookupError::Settings(text) => Self::usage(text),
            LookupError::Unavailable(text) => Self::unavailable(text),
        }
    }
}

impl Histories {
    /// Opens the place that the settings name. A worker is not asked before the first lookup.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, LookupError> {
        let location = &settings.store.location;
        if !location.outlives_its_process() {
            let addr = settings.http_addr.ok_or_else(|| {
                LookupError::Settings(format!(
                    "the store is {location}, inside the worker, and DRUMLINE_HTTP_ADDR is off, so no process can be asked: give \
                     the worker an address, or a store that others can reach (DRUMLINE_STORE_URL)"
                ))
            })?;
            return Ok(Self::Worker { addr, token: settings.http_access.token.clone() });
        }
        if let Location::File(path) = location
            && !path.exists()
        {
            return Err(LookupError::Settings(format!(
                "store_url: {} does not exist: name the file that the worker has made",
                path.display()
            )));
        }
        // Lookups make no claims, so this name is never read.
        let opened = open(location, Arc::from("drumline-cli"), settings.store.keep).await;
        opened.map(Self::Store).map_err(|error| {
            if error.is_wrong_setting() {
                LookupError::Settings(format!("store_url: {error}"))
            } else {
                LookupError::Unavailable(format!("the store {location} does not answer: {error}"))
            }
        })
    }

    /// The store, if this process has opened one.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Store(store) => Some(Arc::clone(store)),
            Self::Worker { .. } => None,
        }
    }

    /// Returns the job with this id, or with this message id, that the filter accepts and that changed last.
    pub(crate) async fn job(&self, id: &str, filter: &JobFilter) -> Result<Option<JobView>, LookupError> {
        match self {
            Self::Store(store) => {
                job_list::find(&**store, id, filter).await.map_err(|error| unanswered(&error))
            }
            Self::Worker { .. } => self.first(id, std::slice::from_ref(filter)).await,
        }
    }

    /// Returns those of the most recently changed jobs that the query selects, newest first.
    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Vec<JobView>, LookupError> {
        match self {
            Self::Store(store) => query.ask(&**store).await.map_err(|error| match error {
                StoreError::Refused(why) => LookupError::Settings(format!("the store: {why}")),
                StoreError::Unanswered(_) => unanswered(&error),
            }),
            Self::Worker { addr, token } => {
                let answer = ask(*addr, list_path(query), token.clone()).await?;
                let List { jobs } = understood(*addr, answer)?.unwrap_or_default();
                Ok(jobs)
            }
        }
    }

    /// Looks up a job by its own id only, with the first of these filters that accepts any job. A store is read once for all
    /// filters.
    pub(crate) async fn first(
        &self,
        id: &str,
        filters: &[JobFilter],
    ) -> Result<Option<JobView>, LookupError> {
        match self {
            Self::Store(store) => {
                let jobs = store.jobs(id).await;
                let jobs = jobs.map_err(|error| unanswered(&error))?;
                Ok(filters.iter().find_map(|filter| JobView::newest(jobs.clone(), filter)))
            }
            Self::Worker { addr, token } => {
                for filter in filters {
                    let answer = ask(*addr, path(id, filter), token.clone()).await?;
                    if let Some(job) = understood(*addr, answer)? {
                        return Ok(Some(job));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Returns the name of the place for messages, such as "the store".
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Store(_) => "the store".to_owned(),
            Self::Worker { addr, .. } => format!("the worker at http://{addr}, whose store is its memory,"),
        }
    }
}

fn unanswered(error: &StoreError) -> LookupError {
    LookupError::Unavailable(format!("the store does not answer: {error}"))
}

type Answered = std::io::Result<own_endpoint::Answer>;

async fn ask(addr: SocketAddr, path: String, token: Option<SecretText>) -> Result<Answered, LookupError> {
    let ask = move || own_endpoint::get(addr, &path, token.as_ref());
    tokio::task::spawn_blocking(ask).await.map_err(|error| LookupError::Unavailable(error.to_string()))
}

/// The response of `/jobs`.
#[derive(Default, Deserialize)]
struct List {
    jobs: Vec<JobView>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn understood<T: DeserializeOwned>(addr: SocketAddr, answer: Answered) -> Result<Option<T>, LookupError> {
    let unavailable = |text| Err(LookupError::Unavailable(text));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return unavailable(format!(
                "the store is memory:, inside the worker, and no worker answers at http://{addr}: {error}; name its \
                 address by --http-addr, or a store that you both reach by --store-url"
            ));
        }
    };
    let refusal = || serde_json::from_str::<Refusal>(&answer.body).ok();
    match (answer.status(), refusal()) {
        (Some(200), _) => match serde_json::from_str(&answer.body) {
            Ok(job) => Ok(Some(job)),
            Err(error) => {
                unavailable(format!("http://{addr} does not answer as a worker of this version: {error}"))
            }
        },
        (Some(404), Some(_)) => Ok(None),
        (Some(501), Some(Refusal { error })) => Err(LookupError::Settings(format!(
            "the worker at http://{addr}: {error}; `jobs show` and `jobs watch` work with an id"
        ))),
        (_, Some(Refusal { error })) => unavailable(format!("the worker at http://{addr}: {error}")),
        (_, None) => unavailable(format!(
            "http://{addr} does not answer as a worker of this version does ({}): is it another program's address?",
            answer.status_line
        )),
    }
}

/// Returns the path and query to ask a worker for a job.
fn path(id: &str, filter: &JobFilter) -> String {
    let fields = [
        ("queue", &filter.queue),
        ("type", &filter.job_type),
        ("source", &filter.source),
        ("message", &filter.message),
        ("key", &filter.key),
    ];
    format!("/jobs/{}{}", percent_encoded(id), query(&fields))
}

/// Returns the path and query to ask a worker for a list.
fn list_path(list: &ListQuery) -> String {
    let ListQuery { state, job_type, queue, limit } = list;
    let state = state.map(|state| state.label().to_owned());
    let limit = limit.map(|limit| limit.to_string());
    let fields = [("state", &state), ("type", job_type), ("queue", queue), ("limit", &limit)];
    format!("/jobs{}", query(&fields))
}

/// Returns a query string of the fields that have a value, with its question mark; empty if no field has one.
fn query(fields: &[(&str, &Option<String>)]) -> String {
    let fields = fields
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", percent_encoded(value.as_deref()?))));
    let query = fields.collect::<Vec<_>>().join("&");
    if query.is_empty() { query } else { format!("?{query}") }
}

/// Encodes an id as one segment of a path.
fn percent_encoded(id: &str) -> String {
    let mut path = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => path.push(char::from(byte)),
            // Dots, too: servers interpret a segment that consists of dots.
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = |queue: Option<&str>, job_type: Option<&str>| JobFilter {
            queue: queue.map(str::to_owned),
            job_type: job_type.map(str::to_owned),
            ..JobFilter::default()
        };
        assert_eq!(path("j", &filter(None, None)), "/jobs/j");
        let list = ListQuery {
            state: Some(drumline_consumer::job_view::ShownState::Done),
            limit: Some(5),
            ..ListQuery::default()
        };
        assert_eq!(list_path(&list), "/jobs?state=done&limit=5");
        assert_eq!(list_path(&ListQuery::default()), "/jobs");
        assert_eq!(path("j", &filter(Some("a&b"), Some("t u"))), "/jobs/j?queue=a%26b&type=t%20u");
    }

    #[test]
    fn any_id_is_one_segment_of_a_path() {
        assert_eq!(percent_encoded("01J-a_b~"), "01J-a_b~");
        assert_eq!(percent_encoded("a/b c?ä.."), "a%2Fb%20c%3F%C3%A4%2E%2E");
    }

    #[test]
    fn a_worker_is_distinguished_from_other_servers() {
        let addr = "127.0.0.1:9464".parse().unwrap();
        let answer = |status: &str, body: &str| {
            understood::<JobView>(
                addr,
                Ok(own_endpoint::Answer { status_line: format!("HTTP/1.0 {status}"), body: body.into() }),
            )
        };
        let known = r#"{"state":"unknown","jobId":"j","attempts":[]}"#;
        assert_eq!(answer("200 OK", known).unwrap().unwrap().job.job_id, "j");
        assert!(answer("404 Not Found", r#"{"error":"nothing is known"}"#).unwrap().is_none());
        let texts = [
            answer("503 Service Unavailable", r#"{"error":"the store does not answer: timeout"}"#),
            answer("404 Not Found", "no such page"),
            answer("200 OK", "<html>"),
            understood::<JobView>(addr, Err(std::io::ErrorKind::ConnectionRefused.into())),
        ]
        .map(|answer| answer.unwrap_err().text().to_owned());
        assert!(texts[0].contains("timeout") && texts[1].contains("another program"), "{texts:?}");
        assert!(texts[2].contains("this version") && texts[3].contains("--http-addr"), "{texts:?}");
    }
}
