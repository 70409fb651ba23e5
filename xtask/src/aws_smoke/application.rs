//! The application to which the jobs are forwarded: it succeeds, refuses or responds slowly, depending on their type.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use xtask::http::request;

/// The duration of a slow job: long enough for a SIGTERM to arrive first.
const SLOW: Duration = Duration::from_secs(5);

/// The application; it serves until the process ends.
pub(super) struct Application {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    done: Mutex<BTreeSet<String>>,
    busy: AtomicBool,
}

impl Application {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // The worker reports a broken connection.
                thread::spawn(move || serve(&connection, &state));
            }
        });
        Ok(Self { address, state })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Counts the jobs that are done.
    pub(super) fn done(&self) -> usize {
        self.state.done.lock().expect("nothing panics while it is locked").len()
    }

    /// Returns true if a slow job has begun.
    pub(super) fn is_busy(&self) -> bool {
        self.state.busy.load(Ordering::SeqCst)
    }
}

fn serve(mut connection: &TcpStream, state: &State) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let (_, body) = request(&mut reader)?;
        let job: Value = serde_json::from_str(&body).ok()?;
        let id = job["jobId"].as_str()?.to_owned();
        let status = match job["type"].as_str()? {
            "smoke.bad" => "422 Unprocessable Content",
            "smoke.slow" => {
                state.busy.store(true, Ordering::SeqCst);
                thread::sleep(SLOW);
                "200 OK"
            }
            _ => "200 OK",
        };
        if status.starts_with("200") {
            state.done.lock().ok()?.insert(id);
        }
        connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()?;
    }
}
