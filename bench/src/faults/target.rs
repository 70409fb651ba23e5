//! A dependency of jobs: an HTTP server that can respond with errors or refuse connections. For a job that only holds a
//! connection, it is a server that accepts it.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::effects::now_ms;
use xtask::http::request;
use xtask::service::lasting::port_to_keep;

/// The interval at which connections are accepted.
const LOOK: Duration = Duration::from_millis(2);
/// Enough for a thread that reads one small request.
const STACK_BYTES: usize = 128 * 1024;

/// The behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Behaviour {
    /// Answers 200.
    Ok,
    /// Answers 500.
    Failing,
    /// Accepts no connections, and closes the open ones.
    Refusing,
    /// Ends.
    Gone,
}

/// The server; it ends with this value.
pub(super) struct Target {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    behaviour: AtomicU8,
    /// The times at which each job was done, in milliseconds since 1970.
    done: Mutex<BTreeMap<String, Vec<u64>>>,
}

impl State {
    fn is(&self, behaviour: Behaviour) -> bool {
        self.behaviour.load(Ordering::SeqCst) == behaviour as u8
    }
}

impl Target {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port_to_keep()?)).context("the port is taken")?;
        let address = listener.local_addr()?;
        let behaviour = AtomicU8::new(Behaviour::Ok as u8);
        let state = Arc::new(State { behaviour, done: Mutex::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(address, listener, &shared));
        Ok(Self { address, state })
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/jobs", self.address)
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.state.behaviour.store(behaviour as u8, Ordering::SeqCst);
    }

    /// Counts the jobs that were answered 200.
    pub(super) fn done(&self) -> usize {
        self.state.done.lock().expect("nothing panics while it is locked").len()
    }

    /// Returns the time at which the last job was done for the first time, in milliseconds since 1970.
    pub(super) fn last_done(&self) -> Option<u64> {
        let done = self.state.done.lock().expect("nothing panics while it is locked");
        done.values().filter_map(|times| times.first().copied()).max()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.behave(Behaviour::Gone);
    }
}

fn accept(address: SocketAddr, listener: TcpListener, state: &Arc<State>) {
    let mut listener = Some(listener);
    while !state.is(Behaviour::Gone) {
        if state.is(Behaviour::Refusing) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        let accepted = listener.as_ref().map(|listener| {
            listener.set_nonblocking(true)?;
            listener.accept()
        });
        match accepted {
            Some(Ok((connection, _))) => {
                let state = Arc::clone(state);
                // If no thread can be started, the connection is closed, which the job treats like any other failure.
                thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(&connection, &state)).ok();
            }
            Some(Err(_)) | None => thread::sleep(LOOK),
        }
    }
}

/// Answers the requests of a connection until it is closed.
fn serve(connection: &TcpStream, state: &State) -> Option<()> {
    connection.set_nonblocking(false).ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let (_, body) = request(&mut reader)?;
        if state.is(Behaviour::Refusing) || state.is(Behaviour::Gone) {
            return None;
        }
        if state.is(Behaviour::Failing) {
            answer(connection, "500 Internal Server Error").ok()?;
            continue;
        }
        let job = serde_json::from_str::<Value>(&body).ok()?["jobId"].as_str()?.to_owned();
        state.done.lock().ok()?.entry(job).or_default().push(now_ms());
        answer(connection, "200 OK").ok()?;
    }
}

fn answer(mut connection: &TcpStream, status: &str) -> io::Result<()> {
    connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn status(target: &Target) -> Result<u16, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.post(target.url()).send(r#"{"jobId":"a"}"#).map(|answer| answer.status().as_u16())
    }

    #[test]
    fn it_answers_fails_refuses_and_returns() {
        let target = Target::start().unwrap();
        assert_eq!(status(&target).unwrap(), 200);
        target.behave(Behaviour::Failing);
        assert_eq!(status(&target).unwrap(), 500);
        assert_eq!(target.done(), 1);
        target.behave(Behaviour::Refusing);
        while TcpStream::connect(target.address()).is_ok() {}
        target.behave(Behaviour::Ok);
        while status(&target).is_err() {}
        assert!(target.last_done().is_some());
    }
}
