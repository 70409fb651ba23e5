//! Signals that end a command which still has letters to release.

use std::future::Future;
use std::io;

use drumline_consumer::ExitError;

use crate::format::note;

/// The exit status after Ctrl-C, as shells report it.
const INTERRUPTED: u8 = 130;

/// The same after SIGTERM.
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// Does `work` unless a signal ends it first; the caller releases what is held in either case.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, ExitError>>,
) -> Result<T, ExitError> {
    tokio::select! {
        result = work => result,
        status = interrupted() => {
            let status = status?;
            note("interrupted");
            Err(ExitError::silent(status))
        }
    }
}

/// Waits for Ctrl-C or SIGTERM, and returns the exit status that shells report for it.
pub(super) async fn interrupted() -> io::Result<u8> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal.map(|()| INTERRUPTED),
            _ = terminate.recv() => Ok(TERMINATED),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| INTERRUPTED)
}
