//! The file descriptors of the process: their limit, and the number that the settings need.

use drumline::core::{most_open_receives, most_open_receives_of_shared};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, info, warn};

use crate::drive::MAX_CALLS;
use crate::settings::{QueueSettings, Settings};

/// The maximum number of concurrent connections to the HTTP endpoint: a scraper, a load balancer and a hundred watchers need
/// far fewer.
const MOST_HTTP_CONNECTIONS: u64 = 256;

/// The maximum part of the limit for connections to the HTTP endpoint, so that they never take the descriptors that the worker
/// needs.
const HTTP_PART: u64 = 4;

/// The number for standard streams, the runtimes, timers and signals, listeners, look-ups of names, and the files of libraries.
const BASE: u64 = 48;

/// The number for the store: PostgreSQL has 16 connections unless its URL sets another number, the others fewer.
const STORE: u64 = 16;

/// Raises the limit of open files to the system's maximum for this process. Returns the active limit; `None` if there is none.
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current?;
    if limit.maximum.is_some_and(|hard| hard <= soft) {
        debug!(limit = soft, "file descriptor limit");
        return Some(soft);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => {
            info!(from = soft, to = limit.maximum, "file descriptor limit raised");
            limit.maximum
        }
        Err(error) => {
            debug!(limit = soft, %error, "the file descriptor limit cannot be raised");
            Some(soft)
        }
    }
}

/// Returns the number of connections to the HTTP endpoint that may be open under this limit.
pub fn http_connections(limit: Option<u64>) -> usize {
    let most = limit.map_or(MOST_HTTP_CONNECTIONS, |limit| (limit / HTTP_PART).min(MOST_HTTP_CONNECTIONS));
    usize::try_from(most.max(1)).unwrap_or(usize::MAX)
}

/// Compares the concurrency of the settings with the limit. A handler of a library needs an unknown number of descriptors, so
/// this is only a warning for it.
///
/// # Errors
/// If forward mode needs more descriptors than there are, because each run has a connection.
pub fn check_descriptors(settings: &Settings, limit: Option<u64>) -> Result<(), String> {
    let Some(limit) = limit else { return Ok(()) };
    let concurrency: u64 = match settings.shared_slots {
        Some(slots) => slots.get() as u64,
        None => settings.queues.iter().map(concurrency).sum(),
    };
    let http = if settings.http_addr.is_some() { http_connections(Some(limit)) as u64 } else { 0 };
    let shares = settings.shared_slots.is_some();
    let own = BASE + STORE + http + settings.queues.iter().map(|queue| for_sqs(queue, shares)).sum::<u64>();
    if own + concurrency <= limit {
        return Ok(());
    }
    if settings.forward_to.is_none() {
        warn!(
            concurrency,
            limit,
            reserved = own,
            "handlers that open a file or a connection each may find no file descriptor left: lower \
             DRUMLINE_CONCURRENCY or raise the limit (ulimit -n)"
        );
        return Ok(());
    }
    Err(format!(
        "DRUMLINE_CONCURRENCY: {concurrency} handlers at once need {} file descriptors in forward mode, {concurrency} \
         for their connections and {own} for SQS, the store and the HTTP endpoint, and this process may open {limit}: \
         lower the concurrency, or raise the limit (ulimit -n, LimitNOFILE, the container's ulimits)",
        own + concurrency
    ))
}

fn concurrency(queue: &QueueSettings) -> u64 {
    queue.concurrency.get() as u64
}

/// Returns the number of connections to SQS: for open receives and for the calls of settlements.
fn for_sqs(queue: &QueueSettings, shares_slots: bool) -> u64 {
    let concurrency = queue.concurrency.get();
    let receives = if shares_slots {
        most_open_receives_of_shared(concurrency)
    } else {
        most_open_receives(concurrency)
    };
    (receives + concurrency.min(MAX_CALLS)) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn settings(set: &[(&str, &str)]) -> Settings {
        let url = ("DRUMLINE_QUEUE_URL", "http://localhost/1/jobs");
        let find = |name: &str| set.iter().chain([&url]).find(|(set, _)| *set == name);
        Settings::read(&BTreeMap::new(), |name| find(name).map(|(_, value)| (*value).to_owned()), None)
            .unwrap()
    }

    #[test]
    fn forward_mode_is_refused_what_it_cannot_serve() {
        let forward = ("DRUMLINE_FORWARD_TO", "http://localhost:8080");
        let many = ("DRUMLINE_CONCURRENCY", "2000");
        let error = check_descriptors(&settings(&[forward, many]), Some(1024)).unwrap_err();
        for part in ["DRUMLINE_CONCURRENCY", "2000", "1024"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(check_descriptors(&settings(&[forward, many]), Some(4096)), Ok(()));
        assert_eq!(check_descriptors(&settings(&[forward, many]), None), Ok(()));
        assert_eq!(
            check_descriptors(&settings(&[forward]), Some(256)),
            Ok(()),
            "the default fits a small limit"
        );
        assert_eq!(check_descriptors(&settings(&[many]), Some(1024)), Ok(()), "handlers are only warned of");
    }

    #[test]
    fn the_http_endpoint_has_a_part_of_the_limit() {
        assert_eq!(
            [None, Some(1_048_576), Some(1024), Some(200), Some(3)].map(http_connections),
            [256, 256, 256, 50, 1]
        );
    }
}
