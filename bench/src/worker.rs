//! The workers that are compared: the runtime with a handler that does nothing, and a loop over the SDK.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, PipeReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;
use rustix::process::Pid;
use serde::Serialize;

use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

use crate::cores;
use crate::programs::Profile;
use crate::queue::{self, Queue};
use crate::usage::{forget_settings, on_core, peak_memory_kib, processor_time};

const NOOP: &str = "noop";
const BARE_LOOP: &str = "bare_loop";

/// What a worker drains before it is measured: more jobs than the memory store remembers (100,000). From then on it is as it
/// will be for as long as it lives, its memory grown and its connections open.
pub(crate) const WARM_UP: usize = 110_000;

/// How long a worker may take to end after SIGTERM, without any job or receive to wait for.
const END: Duration = Duration::from_secs(10);

/// What is measured, in the order in which they take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The loop: ten pollers, so at most 100 messages in flight.
    BareLoop,
    /// The runtime with as many messages in flight.
    Drumline100,
    /// The runtime as it is by default.
    Drumline32,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::BareLoop, Self::Drumline100, Self::Drumline32];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::BareLoop => "bare loop",
            Self::Drumline100 => "drumline, concurrency 100",
            Self::Drumline32 => "drumline, concurrency 32",
        }
    }

    /// `DRUMLINE_CONCURRENCY`, of the runtime.
    fn concurrency(self) -> Option<&'static str> {
        match self {
            Self::BareLoop => None,
            Self::Drumline100 => Some("100"),
            Self::Drumline32 => Some("32"),
        }
    }
}

/// Requests to SQS since the worker's start, by action.
pub(super) type Requests = BTreeMap<String, u64>;

/// Builds the queue and the workers, without the jobs of this repository, which nothing here runs.
pub(crate) fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let examples = ["--example", queue::PROGRAM, "--example", NOOP, "--example", BARE_LOOP];
    Profile::Dist.build(&[&["--features", "worker"], &examples[..]].concat(), interrupts)
}

/// The path of this build's worker.
pub(crate) fn noop() -> PathBuf {
    Profile::Dist.example(NOOP)
}

/// A running worker.
pub(super) struct Worker {
    process: Process,
    counts: Counts,
}

/// Where a worker tells how many requests it has made.
enum Counts {
    /// On its standard output, when it ends.
    AtTheEnd(PipeReader),
    /// At this address.
    Metrics(String),
}

impl Worker {
    pub(super) fn start(kind: Kind, queue_url: &str, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        Self::start_build(kind, &noop(), queue_url, interrupts)
    }

    /// The runtime is the one at `noop`.
    pub(super) fn start_build(
        kind: Kind,
        noop: &Path,
        queue_url: &str,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        // Not a terminal, so the logs are JSON, as in production.
        let log = File::create(folder.join("worker.log"))?;
        let (mut command, counts) = match kind.concurrency() {
            None => {
                let mut command = Command::new(Profile::Dist.example(BARE_LOOP));
                let (output, input) = io::pipe()?;
                command.args(["--queue-url", queue_url]).stdout(input);
                (command, Counts::AtTheEnd(output))
            }
            Some(concurrency) => {
                let http_addr = free_address()?;
                let mut command = Command::new(noop);
                // The other build may have a command line: then it takes the argument.
                forget_settings(&mut command)
                    .arg("run")
                    .env("DRUMLINE_QUEUE_URL", queue_url)
                    .env("DRUMLINE_CONCURRENCY", concurrency)
                    .env("DRUMLINE_HTTP_ADDR", &http_addr);
                (command, Counts::Metrics(format!("http://{http_addr}/metrics")))
            }
        };
        project::forget_aws(&mut command).stderr(log);
        let process = on_core(cores::WORKER, || Process::spawn(kind.label(), &mut command, interrupts))?;
        Ok(Self { process, counts })
    }

    fn id(&self) -> Pid {
        self.process.id()
    }

    pub(super) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.id())
    }

    pub(super) fn peak_memory_kib(&self) -> Result<u64> {
        peak_memory_kib(self.id())
    }

    /// Lets it run on for some time.
    pub(super) fn run_for(&mut self, time: Duration) -> Result<()> {
        match self.process.ended_within(time)? {
            None => Ok(()),
            Some(status) => bail!("the worker ended by itself with {status}"),
        }
    }

    /// Ends it, and tells what it asked of SQS. The queue then gives no receive anything to wait for.
    pub(super) fn end(self, queue: &mut Queue) -> Result<Requests> {
        match self.counts {
            Counts::Metrics(url) => {
                let text = ureq::get(url).call()?.into_body().read_to_string()?;
                stop(self.process, queue)?;
                Ok(from_metrics(&text))
            }
            Counts::AtTheEnd(mut output) => {
                stop(self.process, queue)?;
                let mut text = String::new();
                output.read_to_string(&mut text)?;
                serde_json::from_str(&text).context("the bare loop did not tell its requests")
            }
        }
    }
}

fn stop(mut process: Process, queue: &mut Queue) -> Result<()> {
    process.terminate();
    queue.end_long_polls()?;
    let status = process.ended_within(END)?.context("the worker does not end")?;
    ensure!(status.success(), "the worker failed with {status}; see target/bench/worker.log");
    Ok(())
}

/// An address that nobody uses at this moment.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// `drumline_sqs_requests_total` by action, whatever the results.
fn from_metrics(text: &str) -> Requests {
    let mut requests = Requests::new();
    for line in text.lines() {
        let Some(line) = line.strip_prefix("drumline_sqs_requests_total{") else { continue };
        let action = line.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(action), Some(count)) = (action, count) {
            *requests.entry(action.to_owned()).or_default() += count;
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_by_action() {
        let text = "# TYPE drumline_sqs_requests counter\n\
            drumline_sqs_requests_total{action=\"ReceiveMessage\",result=\"ok\"} 7\n\
            drumline_sqs_requests_total{result=\"throttled\",action=\"ReceiveMessage\"} 2\n\
            drumline_jobs_total{queue=\"q\",type=\"noop\",outcome=\"ack\"} 70\n\
            drumline_sqs_requests_total{action=\"DeleteMessageBatch\",result=\"ok\"} 5\n# EOF\n";
        let expected = [("DeleteMessageBatch".to_owned(), 5), ("ReceiveMessage".to_owned(), 9)];
        assert_eq!(from_metrics(text), Requests::from(expected));
    }
}
