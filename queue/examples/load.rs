//! Measures how many messages a second one core serves: received ten at a time and deleted in one batch, over keep-alive
//! connections.
//!
//! ```text
//! cargo run --release -p drumline-queue --example load -- [messages] [connections]
//! ```
//!
//! The server has one thread. The clients are minimal (one socket each, no HTTP library, no JSON parser) and run on the other
//! cores. If the kernel reports a thread's processor time, the figure per core does not depend on the machine's other load.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use drumline_queue::api::SendMessage;
use drumline_queue::{Endpoint, Server};
use tokio::sync::oneshot;

type AnyError = Box<dyn Error + Send + Sync>;

/// A job of usual size.
const BODY_BYTES: usize = 300;
const DEFAULT_MESSAGES: usize = 300_000;
const DEFAULT_CONNECTIONS: usize = 4;

fn main() -> Result<(), AnyError> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let messages = args.next().transpose()?.unwrap_or(DEFAULT_MESSAGES);
    let connections = args.next().transpose()?.unwrap_or(DEFAULT_CONNECTIONS);

    let (started, server) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let serving = thread::spawn(move || serve(&started, stopped));
    let (addr, endpoint) = server.recv()?;
    let url = fill(&endpoint, messages)?;

    let begin = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || drain(addr, &url))
        })
        .collect();
    let mut deleted = 0;
    for client in clients {
        deleted += client.join().map_err(|_| "a client panicked")??;
    }
    let wall = begin.elapsed();

    let _ = stop.send(());
    let busy = serving.join().map_err(|_| "the server panicked")??;
    if deleted != messages {
        return Err(format!("{messages} sent, {deleted} deleted").into());
    }
    println!("{messages} messages of {BODY_BYTES} bytes over {connections} connections");
    println!("wall clock: {:.2} s, {:.0} messages/s", wall.as_secs_f64(), rate(messages, wall));
    if let Some(busy) = busy {
        println!(
            "server thread: {:.2} s of processor, {:.0} messages/s per core",
            busy.as_secs_f64(),
            rate(messages, busy)
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a figure to read")]
fn rate(messages: usize, time: Duration) -> f64 {
    messages as f64 / time.as_secs_f64()
}

/// Runs the server on this thread until it is stopped. Returns the processor time spent, if the kernel reports it.
fn serve(
    started: &mpsc::Sender<(SocketAddr, Endpoint)>,
    stopped: oneshot::Receiver<()>,
) -> Result<Option<Duration>, AnyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0").await?;
        started.send((server.local_addr(), server.endpoint().clone()))?;
        let before = processor_time();
        stopped.await?;
        let busy = before.zip(processor_time()).map(|(before, after)| after.saturating_sub(before));
        server.shutdown().await;
        Ok(busy)
    })
}

/// Returns this thread's processor time so far, from Linux's scheduler statistics.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn fill(endpoint: &Endpoint, messages: usize) -> Result<String, AnyError> {
    let url = endpoint.create_queue("load", &[("VisibilityTimeout", "600")])?;
    for number in 0..messages {
        let message_body = format!("{{\"type\":\"load\",\"payload\":{number:>0$}}}", BODY_BYTES - 27);
        let request = SendMessage { queue_url: url.clone(), message_body, ..Default::default() };
        endpoint.call(|sqs, now| sqs.send_message(now, request))?;
    }
    Ok(url)
}

/// Receives and deletes until the queue is empty. Returns how many messages were deleted.
fn drain(addr: SocketAddr, url: &str) -> Result<usize, AnyError> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let mut connection = Connection { reader: BufReader::new(stream.try_clone()?), stream, body: Vec::new() };
    let receive = format!(
        r#"{{"QueueUrl":"{url}","MaxNumberOfMessages":10,"MessageSystemAttributeNames":["All"],"MessageAttributeNames":["All"]}}"#
    );
    let mut deleted = 0;
    loop {
        connection.call("ReceiveMessage", &receive)?;
        let handles = connection.handles()?;
        if handles.is_empty() {
            return Ok(deleted);
        }
        deleted += handles.len();
        let entries: Vec<String> = handles
            .iter()
            .enumerate()
            .map(|(id, handle)| format!(r#"{{"Id":"{id}","ReceiptHandle":"{handle}"}}"#))
            .collect();
        let delete = format!(r#"{{"QueueUrl":"{url}","Entries":[{}]}}"#, entries.join(","));
        connection.call("DeleteMessageBatch", &delete)?;
        if !connection.body.ends_with(br#""Failed":[]}"#) {
            return Err(String::from_utf8_lossy(&connection.body).into_owned().into());
        }
    }
}

/// A keep-alive connection with a minimal HTTP client.
struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Connection {
    /// Sends one request and reads the response's body.
    fn call(&mut self, action: &str, json: &str) -> Result<(), AnyError> {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: AmazonSQS.{action}\r\n\
             content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{json}",
            json.len()
        );
        self.stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let header = line.trim_end();
            if header.starts_with("HTTP/") && header != "HTTP/1.1 200 OK" {
                return Err(header.to_owned().into());
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse()?;
            }
            if header.is_empty() {
                break;
            }
        }
        self.body.resize(length, 0);
        self.reader.read_exact(&mut self.body)?;
        Ok(())
    }

    /// Returns the receipt handles in the body.
    fn handles(&self) -> Result<Vec<&str>, AnyError> {
        let text = std::str::from_utf8(&self.body)?;
        let after = text.split(r#""ReceiptHandle":""#).skip(1);
        Ok(after.filter_map(|rest| rest.split('"').next()).collect())
    }
}
