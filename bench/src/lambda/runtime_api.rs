//! The part of Lambda's Runtime API that one function at a time needs. See [Runtime
//! API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
//!
//! It is the measuring instrument, so it does as little as possible: a thread per connection, and blocking reads.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, Sender, bounded};

use xtask::http::request;

/// The time limit for a function's start, and for a response.
const PATIENCE: Duration = Duration::from_secs(30);

/// The timeout that invocations receive.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(60);

/// An event of a connection.
enum Heard {
    /// The function requests work.
    Next(Instant),
    /// The function has responded.
    Answer(Instant, String),
}

/// A Runtime API for one function.
pub(super) struct RuntimeApi {
    address: String,
    events: Sender<String>,
    heard: Receiver<Heard>,
    /// True if the function is already waiting for work.
    is_asked: bool,
}

impl RuntimeApi {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?;
        let address = listener.local_addr()?.to_string();
        let (events, to_hand_out) = bounded::<String>(1);
        let (tell, heard) = bounded(16);
        // Ends with the first connection that fails: when the function is gone, there are no new connections.
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (to_hand_out, tell) = (to_hand_out.clone(), tell.clone());
                thread::spawn(move || serve(&connection, &to_hand_out, &tell));
            }
        });
        Ok(Self { address, events, heard, is_asked: false })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn first_next(&mut self) -> Result<Instant> {
        match self.hear()? {
            Heard::Next(at) => {
                self.is_asked = true;
                Ok(at)
            }
            Heard::Answer(_, answer) => bail!("the function answered before it was asked: {answer}"),
        }
    }

    /// Passes an event to the waiting function, and returns its response.
    pub(super) fn invoke(&mut self, event: &str) -> Result<(Duration, String)> {
        if !std::mem::take(&mut self.is_asked) {
            self.first_next()?;
            self.is_asked = false;
        }
        let begun = Instant::now();
        self.events.send(event.to_owned()).context("the function is gone")?;
        match self.hear()? {
            Heard::Answer(at, answer) => Ok((at.saturating_duration_since(begun), answer)),
            Heard::Next(_) => bail!("the function asked for more work before it had answered"),
        }
    }

    fn hear(&self) -> Result<Heard> {
        self.heard
            .recv_timeout(PATIENCE)
            .context("the function does not answer; see target/bench/function.log")
    }
}

/// Answers the requests of a connection until it is closed.
fn serve(connection: &TcpStream, events: &Receiver<String>, tell: &Sender<Heard>) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    loop {
        let (path, body) = request(&mut reader)?;
        if path.ends_with("/invocation/next") {
            tell.send(Heard::Next(Instant::now())).ok()?;
            let event = events.recv().ok()?;
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).ok()? + FUNCTION_TIMEOUT;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: bench\r\n\
                 Lambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:bench\r\n\
                 Content-Length: {}\r\n\r\n",
                deadline.as_millis(),
                event.len()
            );
            writer.write_all(&[head.as_bytes(), event.as_bytes()].concat()).ok()?;
        } else {
            tell.send(Heard::Answer(Instant::now(), body)).ok()?;
            writer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
    }
}
