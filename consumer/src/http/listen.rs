//! The address of the endpoint. Another process may still use it: a restart can overlap with the process that it replaces, which
//! ends when its open receives and its jobs have ended.
//!
//! The new worker consumes meanwhile. An address that stays in use belongs to a process that this one does not replace. The
//! worker then logs an error again and again, and goes on without an endpoint: if it ended, a supervisor would start it again and
//! again, and each time its jobs would be interrupted, until SQS moves them to the DLQ.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use drumline_runtime::Settings;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

/// The time that a worker needs at most for its end besides the drain: to settle, and for what follows the drain.
const MARGIN: Duration = Duration::from_secs(5);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The time between two errors in the log.
const REPEATED: Duration = Duration::from_secs(300);

/// Returns the time after which a replaced worker with these settings has ended: it waits for its open receives, and for its jobs.
pub(crate) fn replaced_within(settings: &Settings) -> Duration {
    let wait_time = settings.queues.iter().map(|queue| queue.wait_time).max().unwrap_or_default();
    settings.shutdown_grace.max(wait_time) + MARGIN
}

/// Waits for an address in use, and returns its listener once it is free. A replaced process has left it within this time.
pub(super) async fn listener(addr: SocketAddr, replaced_within: Duration) -> TcpListener {
    bound(|| TcpListener::bind(addr), addr, replaced_within).await
}

async fn bound<T, F: Future<Output = io::Result<T>>>(
    bind: impl Fn() -> F,
    addr: SocketAddr,
    replaced_within: Duration,
) -> T {
    warn!(%addr, "the address of the HTTP endpoint is in use, retrying");
    let mut next_error = Instant::now() + replaced_within;
    loop {
        match bind().await {
            Ok(listener) => {
                info!(%addr, "the address of the HTTP endpoint is free, serving");
                return listener;
            }
            Err(error) if Instant::now() >= next_error => {
                next_error += REPEATED;
                error!(
                    %addr,
                    %error,
                    "another process keeps the address of the HTTP endpoint: this one continues without /livez, /readyz and \
                     /metrics; set DRUMLINE_HTTP_ADDR to another address, or to off"
                );
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

pub(super) fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_in_use_is_waited_for_however_long_it_takes() {
        for secs in [20, 3600] {
            let (begun, taken) = (Instant::now(), Duration::from_secs(secs));
            let bind = || async {
                if begun.elapsed() < taken { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
            };
            bound(bind, "127.0.0.1:9464".parse().unwrap(), Duration::from_secs(30)).await;
            assert_eq!(begun.elapsed(), taken);
        }
    }

    #[test]
    fn a_replaced_worker_has_time_for_its_drain_and_receives() {
        for (grace, secs) in [("25s", 30), ("1s", 25), ("10m", 605)] {
            let environment = |name: &str| match name {
                "DRUMLINE_QUEUE_URL" => Some("http://localhost/1/jobs".to_owned()),
                "DRUMLINE_SHUTDOWN_GRACE" => Some(grace.to_owned()),
                _ => None,
            };
            let settings = Settings::read(&BTreeMap::new(), environment, None).unwrap();
            assert_eq!(replaced_within(&settings), Duration::from_secs(secs), "{grace}");
        }
    }
}
