//! A process that sends messages in one of four ways, for `cargo xtask bench sending`.
//!
//! It warms up, prints `ready`, waits for a line, sends, prints the results as JSON, and ends when its standard input ends.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

mod load;

use std::error::Error;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, Intercept};
use aws_sdk_sqs::operation::send_message::SendMessageInput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchInput;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use clap::{Parser, ValueEnum};
use drumline::Job;
use drumline_producer::{Producer, Sender, SenderOptions};
use serde::Serialize;
use tokio::task::JoinSet;

use load::{Noop, client_config};

type AnyError = Box<dyn Error + Send + Sync>;

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of messages after which connections are open and memory has grown.
const WARM_UP: u64 = 1_000;

/// The number of batches in flight in the hand-written loop, as in the producer and the sender.
const BATCHES_AT_ONCE: u64 = 8;

/// The number of entries of a batch.
const BATCH: u64 = 10;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    /// `SendMessage` with the plain SDK, by each caller
    OneByOne,
    /// `SendMessageBatch` with the plain SDK, ten messages each, in concurrent loops
    SdkBatches,
    /// `Producer::send_all`, once
    SendAll,
    /// `Sender::send`, by each caller
    Sender,
}

#[derive(Clone, Parser)]
struct Arguments {
    #[arg(long)]
    queue_url: String,
    #[arg(long, value_enum)]
    way: Way,
    #[arg(long)]
    messages: u64,
    #[arg(long, default_value_t = 64)]
    callers: u64,
    /// Messages per second of all callers together, at random times, even if earlier ones are not confirmed. Without it, each
    /// caller sends when its last message is confirmed
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 5)]
    linger_ms: u64,
}

/// Returns a hand-written envelope.
fn body(n: u64) -> Result<String, AnyError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope {
        r#type: &'static str,
        job_id: String,
        created_at: &'static str,
        payload: Noop,
    }
    let (job_id, created_at) = (format!("{n:026}"), "2026-11-21T10:00:00Z");
    Ok(serde_json::to_string(&Envelope { r#type: Noop::TYPE, job_id, created_at, payload: Noop::new(n) })?)
}

/// The results in their printed form.
#[derive(Serialize)]
struct Results {
    requests: u64,
    elapsed_us: u128,
    /// The time from the call to the start of the request, for each message.
    waits_us: Vec<u128>,
    /// The time from the call to the receipt, for each message.
    totals_us: Vec<u128>,
}

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watch = Arc::new(Watch::default());
    let load = runtime.block_on(Load::new(arguments.clone(), Arc::clone(&watch)))?;
    runtime.block_on(load.send(0..WARM_UP, None))?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    watch.restart(arguments.rate.is_some());
    let begun = Instant::now();
    runtime.block_on(load.send(0..arguments.messages, arguments.rate))?;
    println!("{}", serde_json::to_string(&watch.results(begun.elapsed()))?);
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The parts that send messages.
#[derive(Clone)]
struct Load {
    arguments: Arguments,
    client: Client,
    producer: Producer,
    sender: Sender,
    watch: Arc<Watch>,
}

impl Load {
    async fn new(arguments: Arguments, watch: Arc<Watch>) -> Result<Self, AnyError> {
        let client = client(&arguments.queue_url, Arc::clone(&watch)).await?;
        let producer = Producer::new(client.clone(), arguments.queue_url.clone());
        let options = SenderOptions::default().linger(Duration::from_millis(arguments.linger_ms));
        let sender = Sender::new(producer.clone(), options);
        Ok(Self { arguments, client, producer, sender, watch })
    }

    async fn send(&self, numbers: std::ops::Range<u64>, rate: Option<f64>) -> Result<(), AnyError> {
        let mut tasks = JoinSet::new();
        match (self.arguments.way, rate) {
            (Way::SendAll, _) => {
                let jobs: Vec<Noop> = numbers.map(Noop::new).collect();
                self.producer.send_all(jobs.iter().map(|job| self.producer.send(job))).await?;
            }
            (Way::SdkBatches, _) => {
                for place in 0..BATCHES_AT_ONCE {
                    let (load, numbers) = (self.clone(), numbers.clone());
                    tasks.spawn(async move { load.send_batches(numbers, place).await });
                }
            }
            (Way::OneByOne | Way::Sender, rate) => {
                let callers = self.arguments.callers;
                for caller in 0..callers {
                    let own =
                        numbers.clone().skip(usize::try_from(caller)?).step_by(usize::try_from(callers)?);
                    let load = self.clone();
                    #[allow(clippy::cast_precision_loss, reason = "there are some hundred callers at most")]
                    let share = callers as f64;
                    tasks.spawn(async move {
                        match rate {
                            None => load.closed_loop(own).await,
                            Some(rate) => load.open_loop(own, rate / share, caller).await,
                        }
                    });
                }
            }
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Sends each message when the last one is confirmed.
    async fn closed_loop(&self, numbers: impl Iterator<Item = u64>) -> Result<(), AnyError> {
        for n in numbers {
            self.send_one(n).await?;
        }
        Ok(())
    }

    /// Sends messages at random times, as independent users do, even if earlier ones are not confirmed.
    async fn open_loop(
        &self,
        numbers: impl Iterator<Item = u64>,
        rate: f64,
        seed: u64,
    ) -> Result<(), AnyError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut due = tokio::time::Instant::now();
        let mut sent = JoinSet::new();
        for n in numbers {
            due += Duration::from_secs_f64(-random.f64().max(f64::MIN_POSITIVE).ln() / rate);
            tokio::time::sleep_until(due).await;
            let load = self.clone();
            sent.spawn(async move { load.send_one(n).await });
        }
        while let Some(ended) = sent.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn send_one(&self, n: u64) -> Result<(), AnyError> {
        self.watch.note(n, |times| &mut times.called);
        if self.arguments.way == Way::Sender {
            self.sender.send(&Noop::new(n)).await?;
        } else {
            let body = body(n)?;
            self.client.send_message().queue_url(&self.arguments.queue_url).message_body(body).send().await?;
        }
        self.watch.note(n, |times| &mut times.confirmed);
        Ok(())
    }

    /// Sends every eighth batch.
    async fn send_batches(&self, numbers: std::ops::Range<u64>, place: u64) -> Result<(), AnyError> {
        let first = numbers.start + place * BATCH;
        for first in (first..numbers.end).step_by(usize::try_from(BATCHES_AT_ONCE * BATCH)?) {
            let batch = first..numbers.end.min(first + BATCH);
            let entries = batch.map(|n| {
                let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
                Ok(entry.message_body(body(n)?).build()?)
            });
            let entries = entries.collect::<Result<Vec<_>, AnyError>>()?;
            let request = self.client.send_message_batch().queue_url(&self.arguments.queue_url);
            let reply = request.set_entries(Some(entries)).send().await?;
            if let Some(failed) = reply.failed.first() {
                return Err(format!("not sent: {failed:?}").into());
            }
        }
        Ok(())
    }
}

/// The times of one message.
#[derive(Clone, Copy, Default)]
struct Times {
    called: Option<Instant>,
    left: Option<Instant>,
    confirmed: Option<Instant>,
}

/// Counts requests, and records the times of messages: as the last step before the SDK begins to work on a request.
#[derive(Default)]
struct Watch {
    requests: AtomicU64,
    /// By the messages' numbers; `None` if times are not recorded.
    times: Mutex<Option<Vec<Times>>>,
}

impl Watch {
    fn restart(&self, with_times: bool) {
        self.requests.store(0, Ordering::Relaxed);
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = with_times.then(Vec::new);
    }

    fn note(&self, n: u64, time: fn(&mut Times) -> &mut Option<Instant>) {
        if let Some(times) = &mut *self.times.lock().unwrap_or_else(PoisonError::into_inner) {
            let place = usize::try_from(n).unwrap_or(usize::MAX);
            times.resize(times.len().max(place + 1), Times::default());
            *time(&mut times[place]) = Some(Instant::now());
        }
    }

    fn leaves(&self, body: &str) {
        let n = body.split_once(r#""n":"#).and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
        if let Some(n) = n {
            self.note(n, |times| &mut times.left);
        }
    }

    fn results(&self, elapsed: Duration) -> Results {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let from_call = |until: fn(&Times) -> Option<Instant>| {
            let between = |times: &Times| Some((until(times)? - times.called?).as_micros());
            times.iter().filter_map(between).collect()
        };
        Results {
            requests: self.requests.load(Ordering::Relaxed),
            elapsed_us: elapsed.as_micros(),
            waits_us: from_call(|times| times.left),
            totals_us: from_call(|times| times.confirmed),
        }
    }
}

impl Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Watcher(Arc<Watch>);

impl Intercept for Watcher {
    fn name(&self) -> &'static str {
        "Watcher"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), AnyError> {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(batch) = context.input().downcast_ref::<SendMessageBatchInput>() {
            batch.entries().iter().for_each(|entry| self.0.leaves(entry.message_body()));
        } else if let Some(input) = context.input().downcast_ref::<SendMessageInput>() {
            self.0.leaves(input.message_body().unwrap_or_default());
        }
        Ok(())
    }
}

/// Returns the client of all ways: without retries, as the producer requires.
async fn client(queue_url: &str, watch: Arc<Watch>) -> Result<Client, AnyError> {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = client_config(queue_url, http).await?.interceptor(Watcher(watch));
    Ok(Client::from_conf(config.build()))
}
