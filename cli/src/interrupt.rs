//! Signals that end a command which must still release letters.

use std::future::Future;
use std::io;

use drumline_consumer::ExitError;

use crate::format::note;

/// The exit status after Ctrl-C, as shells report it.
const INTERRUPTED: u8 = 130;

/// The exit status after SIGTERM.
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// The exit status after SIGHUP.
#[cfg(unix)]
const HUNG_UP: u8 = 129;

/// Runs `work` until it ends or a signal arrives. The caller then releases held letters.
pub(crate) async fn unless_interrupted<T>(
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

/// Waits for Ctrl-C, SIGTERM or SIGHUP (a closed terminal), and returns the exit status that shells report for it.
pub(crate) async fn interrupted() -> io::Result<u8> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = async {
            if hangup::is_ignored() {
                return std::future::pending().await;
            }
            signal(SignalKind::hangup())?.recv().await;
            Ok(HUNG_UP)
        };
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal.map(|()| INTERRUPTED),
            _ = terminate.recv() => Ok(TERMINATED),
            status = hangup => status,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| INTERRUPTED)
}

/// The SIGHUP that `nohup` makes a process ignore.
#[cfg(unix)]
mod hangup {
    use std::sync::LazyLock;

    /// The bit of SIGHUP in signal masks.
    const BIT: u64 = 1;

    /// Read before the first signal handler replaces it.
    static IS_IGNORED: LazyLock<bool> = LazyLock::new(|| {
        // Only Linux has this file. On other systems SIGHUP ends the command even under nohup.
        std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status))
    });

    /// Returns true if the process was started with SIGHUP ignored.
    pub(super) fn is_ignored() -> bool {
        *IS_IGNORED
    }

    fn ignores(status: &str) -> bool {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & BIT != 0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_mask_of_ignored_signals_has_a_bit_for_hangup() {
            let status =
                |mask: &str| format!("Name:\tdrumline\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
            assert!(ignores(&status("0000000000001001")));
            assert!(!ignores(&status("0000000000001000")));
            assert!(!ignores("Name:\tdrumline\n"));
        }
    }
}
