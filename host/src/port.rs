//! A port that another process still uses: a restart can overlap with the process that it replaces.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time for which a port in use is retried. A replaced process has ended by then.
pub const PORT_PATIENCE: Duration = Duration::from_secs(5);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Binds an address. If it is in use, reports that once with `waiting`, and retries for [`PORT_PATIENCE`].
///
/// # Errors
/// Any other error at once, and the last one if the address is still in use.
pub async fn when_free<T>(
    mut bind: impl AsyncFnMut() -> io::Result<T>,
    waiting: impl FnOnce(),
) -> io::Result<T> {
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    match bind().await {
        Err(error) if is_taken(&error) => waiting(),
        bound => return bound,
    }
    let begun = Instant::now();
    loop {
        sleep(PAUSE).await;
        match bind().await {
            Err(error) if is_taken(&error) && begun.elapsed() < PORT_PATIENCE => {}
            bound => return bound,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Binds an address that is in use for the first `taken` calls. Returns the result, the number of calls and of reported
    /// waits.
    async fn bind(taken: u32, then: io::Result<()>) -> (io::Result<()>, u32, u32) {
        let (mut tries, mut waits, mut then) = (0, 0, Some(then));
        let result = when_free(
            async || {
                tries += 1;
                if tries <= taken { Err(io::ErrorKind::AddrInUse.into()) } else { then.take().unwrap() }
            },
            || waits += 1,
        )
        .await;
        (result, tries, waits)
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_in_use_is_retried_until_it_is_free() {
        let (result, tries, waits) = bind(0, Ok(())).await;
        assert!(result.is_ok() && (tries, waits) == (1, 0));
        let (result, tries, waits) = bind(7, Ok(())).await;
        assert!(result.is_ok() && (tries, waits) == (8, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_stays_in_use_is_an_error_after_a_while() {
        let begun = Instant::now();
        let (result, _, waits) = bind(u32::MAX, Ok(())).await;
        assert_eq!((result.unwrap_err().kind(), waits), (io::ErrorKind::AddrInUse, 1));
        assert_eq!(begun.elapsed(), PORT_PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn another_error_is_not_retried() {
        let (result, tries, waits) = bind(0, Err(io::ErrorKind::PermissionDenied.into())).await;
        assert_eq!((result.unwrap_err().kind(), tries, waits), (io::ErrorKind::PermissionDenied, 1, 0));
    }
}
