//! An SQS endpoint that fails on command, for `cargo xtask bench faults`: the embedded queue behind the fault-injecting proxy.
//!
//! Prints the endpoint's URL and the address of the control socket, then reads one JSON command a line and answers each with
//! a line of JSON. The commands reach the queue directly, so they work during faults. It ends with the control connection.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

use std::error::Error;
use std::fmt::Display;

use drumline_queue::api::GetQueueAttributes;
use drumline_queue::{Endpoint, Server};
use drumline_tests::{Fault, Proxy};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// The messages of a queue: visible, in flight, delayed.
const COUNTS: [&str; 3] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
enum Command {
    /// Creates a queue with a DLQ. The response has their URLs.
    Create { name: String, max_receive_count: u32, visibility_secs: u32 },
    /// Sends messages. The response has their number.
    Send { url: String, bodies: Vec<String> },
    /// Counts the messages of a queue in all states.
    Count { url: String },
    /// Returns the bodies of a queue's messages.
    Peek { url: String },
    /// Makes `percent` of a hundred requests of an action fail.
    Fail { action: String, fault: Fault, percent: u8 },
    /// Lets requests of an action succeed again.
    Heal { action: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start_long_running(&server.endpoint_url()).await;
    let control = TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {}", proxy.url(), control.local_addr()?);

    let (mut stream, _) = control.accept().await?;
    let (commands, mut answers) = stream.split();
    let mut commands = BufReader::new(commands).lines();
    while let Some(command) = commands.next_line().await? {
        let answer = match serde_json::from_str(&command) {
            Ok(command) => obey(server.endpoint(), &proxy, command),
            Err(error) => refusal(error),
        };
        answers.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

fn obey(endpoint: &Endpoint, proxy: &Proxy, command: Command) -> Value {
    match command {
        Command::Create { name, max_receive_count, visibility_secs } => {
            create(endpoint, &name, max_receive_count, visibility_secs)
        }
        Command::Send { url, bodies } => {
            let sent = bodies.iter().try_for_each(|body| endpoint.send(&url, body).map(drop));
            sent.map_or_else(refusal, |()| json!(bodies.len()))
        }
        Command::Count { url } => count(endpoint, url),
        Command::Peek { url } => match endpoint.peek(&url) {
            Ok(messages) => messages.iter().map(|message| json!(&*message.body)).collect(),
            Err(error) => refusal(error),
        },
        Command::Fail { action, fault, percent } => {
            proxy.fail_share(&action, fault, percent);
            json!(null)
        }
        Command::Heal { action } => {
            proxy.heal(&action);
            json!(null)
        }
    }
}

fn create(endpoint: &Endpoint, name: &str, max_receive_count: u32, visibility_secs: u32) -> Value {
    let dead = format!("{name}-dlq");
    let created = endpoint.create_queue(&dead, &[]).and_then(|dead_url| {
        let arn = endpoint.call(|sqs, _| sqs.queue_arn(&dead));
        let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": max_receive_count }).to_string();
        let visibility = visibility_secs.to_string();
        let attributes = [("VisibilityTimeout", &*visibility), ("RedrivePolicy", &*policy)];
        Ok(json!({ "url": endpoint.create_queue(name, &attributes)?, "dead_url": dead_url }))
    });
    created.unwrap_or_else(refusal)
}

fn count(endpoint: &Endpoint, url: String) -> Value {
    let request = GetQueueAttributes { queue_url: url, attribute_names: COUNTS.map(str::to_owned).to_vec() };
    match endpoint.call(|sqs, now| sqs.get_queue_attributes(now, &request)) {
        Ok(reply) => {
            let counts = COUNTS.iter().filter_map(|name| reply.attributes.get(*name)?.parse::<u64>().ok());
            json!(counts.sum::<u64>())
        }
        Err(error) => refusal(error),
    }
}

fn refusal(error: impl Display) -> Value {
    json!({ "error": error.to_string() })
}
