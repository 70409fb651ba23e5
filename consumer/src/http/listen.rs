//! The address of the endpoint. Another process may still use it: a restart can overlap with the process that it replaces, which
//! ends when its open receives and its jobs have ended.
//!
//! The new worker consumes meanwhile. An address that stays in use belongs to a process that this one does not replace. If the
//! address was set, the worker ends with an error: probes and scrapes of the address would reach the other process. A worker with the
//! default address continues without an endpoint, and logs that: it may be the second one on a developer's machine.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use drumline_runtime::{Origin, Settings};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

/// The time that a worker needs at most for its end besides the drain: to settle, and for what follows the drain.
const MARGIN: Duration = Duration::from_secs(5);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The time between two tries of a worker that continues without an endpoint.
const LATER: Duration = Duration::from_secs(5);

/// The treatment of an address in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressPatience {
    /// A process that this one replaces has ended by then.
    within: Duration,
    /// True if a setting names the address.
    is_set: bool,
}

impl AddressPatience {
    /// The patience of a worker, whose predecessor had the same settings: it waited for its open receives, and for its jobs.
    pub(crate) fn of_worker(settings: &Settings) -> Self {
        let wait_time = settings.queues.iter().map(|queue| queue.wait_time).max().unwrap_or_default();
        let mut origins =
            settings.effective.iter().filter(|row| row.key == "http_addr").map(|row| &row.origin);
        Self {
            within: settings.shutdown_grace.max(wait_time) + MARGIN,
            is_set: origins.any(|origin| *origin != Origin::Default),
        }
    }
}

/// Waits for an address in use, and returns its listener once it is free.
///
/// # Errors
/// An error other than that the address is in use; and that one if a setting names the address, and the patience is over.
pub(super) async fn listener(addr: SocketAddr, patience: AddressPatience) -> io::Result<TcpListener> {
    bound(|| TcpListener::bind(addr), addr, patience).await
}

async fn bound<T, F: Future<Output = io::Result<T>>>(
    bind: impl Fn() -> F,
    addr: SocketAddr,
    patience: AddressPatience,
) -> io::Result<T> {
    let AddressPatience { within, is_set } = patience;
    let (begun, retried_for_secs) = (Instant::now(), within.as_secs());
    warn!(%addr, retried_for_secs, "the address of the HTTP endpoint is in use, retrying");
    let mut result = bind().await;
    while result.as_ref().is_err_and(is_taken) && begun.elapsed() < within {
        sleep(PAUSE).await;
        result = bind().await;
    }
    if !is_set && result.as_ref().is_err_and(is_taken) {
        error!(
            %addr,
            "another process keeps the address of the HTTP endpoint: this one continues without /livez, /readyz and /metrics; \
             set DRUMLINE_HTTP_ADDR to another address, or to off"
        );
        while result.as_ref().is_err_and(is_taken) {
            sleep(LATER).await;
            result = bind().await;
        }
    }
    if result.is_ok() {
        info!(%addr, "the address of the HTTP endpoint is free, serving");
    }
    result
}

pub(super) fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    const ADDR: &str = "127.0.0.1:9464";

    fn patience(is_set: bool) -> AddressPatience {
        AddressPatience { within: Duration::from_secs(30), is_set }
    }

    /// Binds an address that is in use for this long. Returns the result and the time until it.
    async fn bind(taken: Duration, is_set: bool) -> (io::Result<()>, Duration) {
        let begun = Instant::now();
        let bind =
            || async { if begun.elapsed() < taken { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) } };
        (bound(bind, ADDR.parse().unwrap(), patience(is_set)).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_served_once_the_replaced_process_has_left_it() {
        for is_set in [true, false] {
            let (result, after) = bind(Duration::from_secs(20), is_set).await;
            assert!(result.is_ok());
            assert_eq!(after, Duration::from_secs(20));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_in_use_for_long_is_an_error_if_it_was_set() {
        let hour = Duration::from_secs(3600);
        let (result, after) = bind(hour, true).await;
        assert_eq!((result.unwrap_err().kind(), after), (io::ErrorKind::AddrInUse, Duration::from_secs(30)));
        let (result, after) = bind(hour, false).await;
        assert!(result.is_ok() && after >= hour && after < hour + LATER * 2, "{after:?}");
    }

    #[test]
    fn a_replaced_worker_has_time_for_its_drain_and_receives() {
        let read = |grace: &str, addr: &str| {
            let environment = |name: &str| match name {
                "DRUMLINE_QUEUE_URL" => Some("http://localhost/1/jobs".to_owned()),
                "DRUMLINE_SHUTDOWN_GRACE" => Some(grace.to_owned()),
                "DRUMLINE_HTTP_ADDR" if !addr.is_empty() => Some(addr.to_owned()),
                _ => None,
            };
            AddressPatience::of_worker(&Settings::read(&BTreeMap::new(), environment, None).unwrap())
        };
        let table = [("25s", "", 30, false), ("1s", ADDR, 25, true), ("10m", ADDR, 605, true)];
        for (grace, addr, secs, is_set) in table {
            assert_eq!(read(grace, addr), AddressPatience { within: Duration::from_secs(secs), is_set });
        }
    }
}
