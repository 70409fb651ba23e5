//! A process that sends the same messages in three ways in turn, for `cargo xtask bench relaying`; one way uses an outbox in
//! PostgreSQL.
//!
//! With `--latency-ms` each request takes at least this long, as with an SQS that is not on the same machine.
//!
//! It prints a line of JSON for each round: the microseconds of each way.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

mod load;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use clap::Parser;
use drumline_producer::outbox::{self, Relay};
use drumline_producer::{Outgoing, Packer, Producer, SendOptions, send_batch};
use drumline_store::outbox::Outbox;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep;

use load::{Noop, client_config};

type AnyError = Box<dyn Error + Send + Sync>;

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of messages after which connections are open and memory has grown.
const WARM_UP: u64 = 2_000;

/// The number of batches in flight, as in the producer and the relay.
const BATCHES_AT_ONCE: usize = 8;

/// The number of rows that are added to the outbox in one call.
const ADDED_AT_ONCE: usize = 1_000;

#[derive(Clone, Parser)]
struct Arguments {
    #[arg(long)]
    queue_url: String,
    #[arg(long)]
    outbox_url: String,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    rounds: u32,
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

/// The duration of each way in microseconds.
#[derive(Serialize)]
struct Round {
    send_batch: u128,
    send_all: u128,
    relay: u128,
}

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), AnyError> {
    let client = client(&arguments.queue_url, Duration::from_millis(arguments.latency_ms)).await?;
    let producer = Producer::new(client.clone(), arguments.queue_url.clone());
    let outbox = drumline_store::outbox::open(&arguments.outbox_url, Duration::ZERO).await?;
    let load = Load { client, producer, outbox, queue_url: arguments.queue_url };
    load.round(WARM_UP).await?;
    for _ in 0..arguments.rounds {
        let round = load.round(arguments.messages).await?;
        println!("{}", serde_json::to_string(&round)?);
    }
    Ok(())
}

struct Load {
    client: Client,
    producer: Producer,
    outbox: Arc<dyn Outbox>,
    queue_url: String,
}

impl Load {
    async fn round(&self, messages: u64) -> Result<Round, AnyError> {
        Ok(Round {
            send_batch: self.send_batches(messages).await?.as_micros(),
            relay: self.relay(messages).await?.as_micros(),
            send_all: self.send_all(messages).await?.as_micros(),
        })
    }

    /// Sends prepared messages, ten per request, and reads the responses.
    async fn send_batches(&self, messages: u64) -> Result<Duration, AnyError> {
        let mut packer = Packer::default();
        let mut batches = Vec::new();
        for n in 0..messages {
            batches.extend(packer.push(self.producer.prepare(&Noop::new(n))?.outgoing().clone()));
        }
        batches.extend(packer.finish());
        let mut lots: Vec<Vec<Vec<Outgoing>>> = (0..BATCHES_AT_ONCE).map(|_| Vec::new()).collect();
        for (place, batch) in batches.into_iter().enumerate() {
            lots[place % BATCHES_AT_ONCE].push(batch);
        }
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for lot in lots {
            let (client, queue_url) = (self.client.clone(), self.queue_url.clone());
            tasks.spawn(async move {
                for batch in lot {
                    let sent = send_batch(&client, &queue_url, &SendOptions::default(), batch).await?;
                    if let Some((_, Err(reason))) = sent.into_iter().find(|(_, result)| result.is_err()) {
                        return Err(AnyError::from(reason));
                    }
                }
                Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(begun.elapsed())
    }

    /// Sends jobs: checks each, and creates its message.
    async fn send_all(&self, messages: u64) -> Result<Duration, AnyError> {
        let jobs: Vec<Noop> = (0..messages).map(Noop::new).collect();
        let begun = Instant::now();
        self.producer.send_all(jobs.iter().map(|job| self.producer.send(job))).await?;
        Ok(begun.elapsed())
    }

    /// Sends rows that are in the outbox at the beginning.
    async fn relay(&self, messages: u64) -> Result<Duration, AnyError> {
        let rows = (0..messages).map(|n| outbox::job(&Noop::new(n)).to_outbox_job());
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        for rows in rows.chunks(ADDED_AT_ONCE) {
            self.outbox.add(rows).await?;
        }
        let begun = Instant::now();
        let summary = Relay::new(Arc::clone(&self.outbox), self.producer.clone()).drain().await?;
        let elapsed = begun.elapsed();
        if summary.sent == messages && summary.put_back == 0 && summary.parked == 0 {
            Ok(elapsed)
        } else {
            Err(format!("not all was sent: {summary:?}").into())
        }
    }
}

/// Returns the client of all ways: without retries, as the producer requires.
async fn client(queue_url: &str, latency: Duration) -> Result<Client, AnyError> {
    let http = Far { client: aws_smithy_http_client::Builder::new().build_http(), latency };
    Ok(Client::from_conf(client_config(queue_url, http).await?.build()))
}

/// An HTTP client whose requests have a minimum duration.
#[derive(Debug)]
struct Far {
    client: SharedHttpClient,
    latency: Duration,
}

impl HttpClient for Far {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        if self.latency.is_zero() {
            return connector;
        }
        SharedHttpConnector::new(FarConnector { connector, latency: self.latency })
    }
}

#[derive(Debug)]
struct FarConnector {
    connector: SharedHttpConnector,
    latency: Duration,
}

impl HttpConnector for FarConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, latency) = (self.connector.call(request), self.latency);
        HttpConnectorFuture::new(async move { tokio::join!(answer, sleep(latency)).0 })
    }
}
