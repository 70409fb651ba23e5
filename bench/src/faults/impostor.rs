//! Another server in place of a store, like a load balancer without targets: it responds, but not as a store.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// The interval at which connections are accepted.
const LOOK: Duration = Duration::from_millis(2);

/// The server; it ends with this value.
pub(super) struct Impostor {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Impostor {
    pub(super) fn start(address: (Ipv4Addr, u16)) -> Result<Self> {
        let listener = TcpListener::bind(address).context("the store's port is still taken")?;
        listener.set_nonblocking(true)?;
        let ends = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client that has gone needs no answer.
                    Ok((mut connection, _)) => drop(connection.write_all(ANSWER)),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
