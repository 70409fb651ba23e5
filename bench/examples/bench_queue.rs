//! The benchmark's queue: an in-memory SQS endpoint with one thread, controlled over a socket.
//!
//! It prints the queue's URL and the address of the control socket, then reads one command per line and answers each with a
//! line of numbers. It ends with the control connection.
//!
//! The optional argument is the delay of each response in milliseconds, which simulates the distance to SQS.
//!
//! | command | does | answers |
//! |---|---|---|
//! | `wait` | waits until a receive is open | `0` |
//! | `end` | answers open receives, and lets none wait from now on | `0` |
//! | `drain N` | puts N messages in at once, waits until they are deleted | microseconds from the last put to the last delete |
//! | `count` | | messages in the queue |
//! | `trickle N MS` | puts N messages in, one each MS milliseconds | microseconds from accepted to deleted of each |
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use drumline_queue::api::{GetQueueAttributes, SendMessage};
use drumline_queue::{Endpoint, Server, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior};

type AnyError = Box<dyn Error + Send + Sync>;

/// A job of usual size.
const BODY_BYTES: usize = 300;

/// The interval at which a queue that is being emptied is checked: a thousandth of a run that takes a second.
const LOOK: Duration = Duration::from_millis(1);

/// More than the size of ten messages with their attributes.
const ANSWER_BYTES: usize = 64 << 10;

const COUNTS: [&str; 2] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];

fn main() -> Result<(), AnyError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), AnyError> {
    let server = Server::bind("127.0.0.1:0").await?;
    let (mut queue_url, _) = server.endpoint().create_queue_with_dead_letters("bench", "bench-dlq", 10)?;
    if let Some(millis) = std::env::args().nth(1) {
        let delaying = TcpListener::bind("127.0.0.1:0").await?;
        let far = format!("http://{}", delaying.local_addr()?);
        queue_url = queue_url.replacen(&server.endpoint_url(), &far, 1);
        tokio::spawn(delay(delaying, server.local_addr(), Duration::from_millis(millis.parse()?)));
    }
    let control = TcpListener::bind("127.0.0.1:0").await?;
    println!("{queue_url} {}", control.local_addr()?);

    let (mut stream, _) = control.accept().await?;
    let (commands, mut answers) = stream.split();
    let mut commands = BufReader::new(commands).lines();
    let mut queue = Queue { endpoint: server.endpoint().clone(), url: queue_url, made: 0 };
    while let Some(command) = commands.next_line().await? {
        let numbers = queue.obey(&command).await?;
        let line: Vec<String> = numbers.iter().map(u128::to_string).collect();
        answers.write_all(format!("{}\n", line.join(" ")).as_bytes()).await?;
    }
    Ok(())
}

/// Forwards connections to the server, and each response after a delay.
async fn delay(listener: TcpListener, server: SocketAddr, by: Duration) -> std::io::Result<()> {
    loop {
        let (worker, _) = listener.accept().await?;
        // The worker notices a connection's error, because its requests fail.
        tokio::spawn(delay_answers(worker, server, by));
    }
}

async fn delay_answers(mut worker: TcpStream, server: SocketAddr, by: Duration) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    worker.set_nodelay(true)?;
    let (mut requests, mut to_worker) = worker.split();
    let (mut answers, mut to_server) = server.split();
    let forth = tokio::io::copy(&mut requests, &mut to_server);
    let back = async {
        // The server writes a response at once, and it fits, so it has one delay.
        let mut answer = vec![0; ANSWER_BYTES];
        loop {
            let length = answers.read(&mut answer).await?;
            if length == 0 {
                return Ok(());
            }
            tokio::time::sleep(by).await;
            to_worker.write_all(&answer[..length]).await?;
        }
    };
    tokio::select! {
        ended = forth => ended.map(drop),
        ended = back => ended,
    }
}

struct Queue {
    endpoint: Endpoint,
    url: String,
    /// The number of messages so far. Each is a separate job.
    made: usize,
}

impl Queue {
    async fn obey(&mut self, command: &str) -> Result<Vec<u128>, AnyError> {
        match command.split(' ').collect::<Vec<_>>()[..] {
            ["wait"] => {
                // Serves between two checks, so that the time until a first receive is exact to some microseconds.
                while self.endpoint.waiting_receives() == 0 {
                    tokio::task::yield_now().await;
                }
                Ok(vec![0])
            }
            ["end"] => {
                self.endpoint.end_long_polls();
                Ok(vec![0])
            }
            ["count"] => Ok(vec![self.count()?.into()]),
            ["drain", count] => self.drain(count.parse()?).await,
            ["trickle", count, millis] => {
                self.trickle(count.parse()?, Duration::from_millis(millis.parse()?)).await
            }
            _ => Err(format!("not a command: {command}").into()),
        }
    }

    async fn drain(&mut self, count: usize) -> Result<Vec<u128>, AnyError> {
        let messages: Vec<SendMessage> = (0..count).map(|_| self.message()).collect();
        self.endpoint.call(|sqs, now| {
            messages.into_iter().try_for_each(|message| sqs.send_message(now, message).map(|_| ()))
        })?;
        let filled = Instant::now();
        while !self.is_empty()? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(vec![filled.elapsed().as_micros()])
    }

    async fn trickle(&mut self, count: usize, every: Duration) -> Result<Vec<u128>, AnyError> {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let message = self.message();
            ticks.tick().await;
            let accepted = Instant::now();
            self.endpoint.call(|sqs, now| sqs.send_message(now, message))?;
            // Serves between two checks, so that the figure is exact to some microseconds.
            while !self.is_empty()? {
                tokio::task::yield_now().await;
            }
            latencies.push(accepted.elapsed().as_micros());
        }
        Ok(latencies)
    }

    fn message(&mut self) -> SendMessage {
        let n = self.made;
        self.made += 1;
        let envelope = format!(r#"{{"type":"noop","jobId":"{n:026}","payload":{{"n":{n},"padding":""}}}}"#);
        let padding = "x".repeat(BODY_BYTES.saturating_sub(envelope.len()));
        let message_body = envelope.replace(r#""padding":"""#, &format!(r#""padding":"{padding}""#));
        SendMessage { queue_url: self.url.clone(), message_body, ..Default::default() }
    }

    fn is_empty(&self) -> Result<bool, AnyError> {
        Ok(self.count()? == 0)
    }

    fn count(&self) -> Result<u64, AnyError> {
        let request = GetQueueAttributes {
            queue_url: self.url.clone(),
            attribute_names: COUNTS.map(str::to_owned).to_vec(),
        };
        let reply = self.endpoint.call(|sqs, now: Timestamp| sqs.get_queue_attributes(now, &request))?;
        let counts =
            COUNTS.iter().map(|name| Ok(reply.attributes.get(*name).ok_or("no count")?.parse::<u64>()?));
        counts.sum()
    }
}
