//! Waits for Ctrl-C and SIGTERM, so that all started processes are stopped before this one ends.

use std::io;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A signal that requested the end. Returned as an error, it unwinds to `main` and stops every process on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by signal {signal}")]
pub struct Interrupted {
    /// Its number, such as 2 for SIGINT.
    pub signal: u8,
}

/// Sends each SIGINT, SIGTERM or SIGHUP once to one of the waiting holders.
///
/// After this call, these signals no longer end the process by themselves.
pub fn catch() -> io::Result<Receiver<Interrupted>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, receiver) = unbounded();
    thread::spawn(move || {
        for signal in &mut signals {
            let signal = u8::try_from(signal).expect("the three signals asked for are 1, 2 and 15");
            if sender.send(Interrupted { signal }).is_err() {
                return; // Nobody waits any more: the process is about to end.
            }
        }
    });
    Ok(receiver)
}
