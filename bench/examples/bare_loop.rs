//! The minimum cost of a worker: a hand-written loop with AWS's SDK, for comparison with `noop.rs`. It uses the same SDK, the
//! same HTTP client and the same number of messages in flight, but has no retries, renewals, metrics or logs.
//!
//! It runs until SIGTERM, then prints the number of its requests for each action as JSON.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::StalledStreamProtectionConfig;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use clap::Parser;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

/// As in the `drumline` binary: the comparison is about the runtimes, not their allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The largest number of messages in a receive or a batch.
const BATCH: i32 = 10;
const WAIT_SECS: i32 = 20;
/// The timeouts of a call and of connecting. The first one is longer than the wait time, because a call can hang.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

#[derive(Parser)]
struct Arguments {
    /// The queue
    #[arg(long)]
    queue_url: String,
    /// Tasks that receive, work and delete in turn; each has ten messages in flight
    #[arg(long, default_value_t = 10)]
    pollers: usize,
    /// Use tokio's multi-threaded runtime instead of one thread
    #[arg(long)]
    multi_thread: bool,
}

/// A job as `noop.rs` reads it: envelope and payload at once, because there is no routing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[allow(dead_code, reason = "read, not used")]
    r#type: String,
    #[allow(dead_code, reason = "read, not used")]
    job_id: Option<String>,
    #[allow(dead_code, reason = "read, not used")]
    idempotency_key: Option<String>,
    #[allow(dead_code, reason = "read, not used")]
    payload: Noop,
}

#[derive(Deserialize)]
struct Noop {
    #[allow(dead_code, reason = "read, not used")]
    n: u64,
}

#[derive(Default)]
struct Requests {
    receives: AtomicU64,
    deletes: AtomicU64,
}

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    let mut builder = if arguments.multi_thread {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), AnyError> {
    let mut term = signal(SignalKind::terminate())?;
    let client = client(&arguments.queue_url).await?;
    let requests = Arc::new(Requests::default());
    let mut pollers = JoinSet::new();
    for _ in 0..arguments.pollers {
        pollers.spawn(poll(client.clone(), arguments.queue_url.clone(), Arc::clone(&requests)));
    }
    tokio::select! {
        _ = term.recv() => {}
        // A poller ends only with an error, and a comparison with a broken queue is meaningless.
        Some(ended) = pollers.join_next() => ended??,
    }
    let (receives, deletes) =
        (requests.receives.load(Ordering::Relaxed), requests.deletes.load(Ordering::Relaxed));
    println!(r#"{{"ReceiveMessage":{receives},"DeleteMessageBatch":{deletes}}}"#);
    Ok(())
}

async fn poll(client: Client, queue_url: String, requests: Arc<Requests>) -> Result<(), AnyError> {
    loop {
        let receive = client
            .receive_message()
            .queue_url(&queue_url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(WAIT_SECS);
        let messages = receive.send().await?.messages.unwrap_or_default();
        requests.receives.fetch_add(1, Ordering::Relaxed);
        if messages.is_empty() {
            continue;
        }
        let entries = messages.into_iter().enumerate().map(|(index, message)| work(index, message));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let reply =
            client.delete_message_batch().queue_url(&queue_url).set_entries(Some(entries)).send().await?;
        requests.deletes.fetch_add(1, Ordering::Relaxed);
        if let Some(failed) = reply.failed.first() {
            return Err(format!("not deleted: {failed:?}").into());
        }
    }
}

/// Processes the job, and returns the entry that deletes it.
fn work(index: usize, message: Message) -> Result<DeleteMessageBatchRequestEntry, AnyError> {
    let _job: Envelope = serde_json::from_str(message.body().unwrap_or_default())?;
    let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
    Ok(entry.set_receipt_handle(message.receipt_handle).build()?)
}

/// Returns the client, configured like the consumer's.
async fn client(queue_url: &str) -> Result<Client, AnyError> {
    let http = HttpBuilder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    let base = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(
            "bench",
            "bench",
            None,
            None,
            "made up for the loopback interface",
        ))
        .load()
        .await;
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TIMEOUTS.0).connect_timeout(TIMEOUTS.1);
    let config = aws_sdk_sqs::config::Builder::from(&base)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(url::Url::parse(queue_url)?.origin().ascii_serialization());
    Ok(Client::from_conf(config.build()))
}
