//! A program that sends jobs in the background, from many callers, and prints a line for each result: the state of the job, its
//! number, and the reason of a failure. SIGTERM shuts the sender down: it prints `shut down` after the results of all accepted
//! jobs.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

use std::error::Error;
use std::time::Duration;

use drumline::Job;
use drumline_producer::{Pending, Prepared, ProduceError, Producer, Receipt, Sender, SenderOptions};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// The number of concurrent callers. Each is a message group on a FIFO queue.
const CALLERS: u64 = 16;

/// The maximum number of unfinished jobs of one caller.
const PIPELINED: usize = 16;

#[derive(Serialize, Deserialize)]
struct Count {
    caller: u64,
    number: u64,
}

impl Job for Count {
    const TYPE: &'static str = "count";
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let jobs: u64 = drumline_consumer::variable("SENDS_JOBS").ok_or("SENDS_JOBS is not set")?.parse()?;
    let mut term = signal(SignalKind::terminate())?;
    let producer = Box::pin(Producer::connect()).await?;
    let options = SenderOptions::default().linger(Duration::from_millis(10)).capacity(200);
    let sender = Sender::new(producer.clone(), options);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(producer.clone(), sender.clone(), caller, jobs));
    }
    tokio::select! {
        _ = term.recv() => {}
        () = async { while callers.join_next().await.is_some() {} } => {}
    }
    sender.shutdown().await;
    while callers.join_next().await.is_some() {}
    println!("shut down");
    Ok(())
}

/// Sends every sixteenth job, several at a time.
async fn call(producer: Producer, sender: Sender, caller: u64, jobs: u64) {
    let mut pending = std::collections::VecDeque::new();
    for number in (caller..jobs).step_by(usize::try_from(CALLERS).unwrap_or(1)) {
        if pending.len() == PIPELINED {
            report(pending.pop_front()).await;
        }
        match enqueue(&producer, &sender, caller, number).await {
            Ok(receipt) => pending.push_back((number, receipt)),
            Err(error) => print(number, &Err(error)),
        }
    }
    while !pending.is_empty() {
        report(pending.pop_front()).await;
    }
}

async fn enqueue(
    producer: &Producer,
    sender: &Sender,
    caller: u64,
    number: u64,
) -> Result<Pending, ProduceError> {
    let job: Prepared =
        producer.send(&Count { caller, number }).group(format!("caller-{caller}")).prepare()?;
    sender.enqueue(job).await
}

async fn report(pending: Option<(u64, Pending)>) {
    if let Some((number, receipt)) = pending {
        print(number, &receipt.await);
    }
}

fn print(number: u64, result: &Result<Receipt, ProduceError>) {
    match result {
        Ok(_) => println!("sent {number}"),
        Err(error @ ProduceError::InDoubt(_)) => println!("in-doubt {number} {error}"),
        Err(error @ ProduceError::RefusedBySqs(_)) => println!("refused {number} {error}"),
        Err(error) => println!("unsent {number} {error}"),
    }
}
