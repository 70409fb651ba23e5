//! The workers to compare: the runtime with a handler that does nothing, and a loop over the SDK.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, PipeReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;
use rustix::process::Pid;
use serde::Serialize;

use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

use crate::programs::Profile;
use crate::queue::{self, Queue};
use crate::usage::{Memory, forget_settings, memory_kib, on_core, processor_time};
use crate::{collector, cores};

/// The program with the runtime.
pub(crate) const NOOP: &str = "noop";
const BARE_LOOP: &str = "bare_loop";

/// The log of the contenders, in `target/bench`.
const LOG: &str = "worker.log";

/// The number of jobs that a worker processes before the measurement: more than the memory store remembers (100,000). From then
/// on the worker is in its long-term state, with its full memory and open connections.
pub(crate) const WARM_UP: usize = 110_000;

/// The time limit for a worker's end after SIGTERM, without any job or receive to wait for.
const END: Duration = Duration::from_secs(10);

/// Settings of the runtime, and variables of its program.
pub(crate) type Variables<'a> = &'a [(&'a str, &'a str)];

/// Disables the log lines for each start and success of a job, as on queues with thousands of jobs a second: the loop logs none
/// either.
pub(crate) const FEW_LINES: (&str, &str) = ("DRUMLINE_JOB_LOG", "debug");

/// Selects the loop's client.
const SDK: (&str, &str) = ("DRUMLINE_SQS_CLIENT", "sdk");

/// The contenders in the order of their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The loop: ten pollers, so at most 100 messages in flight.
    BareLoop,
    /// The runtime with as many messages in flight.
    Drumline100,
    /// The runtime with its default settings.
    Drumline32,
    /// The runtime with as many messages in flight as the loop, and the loop's client.
    Drumline100Sdk,
    /// The runtime with its default settings, but the loop's client.
    Drumline32Sdk,
    /// The runtime with its default settings, which exports the traces of one job in a hundred, and metrics.
    Drumline32Otel,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::BareLoop,
        Self::Drumline100,
        Self::Drumline32,
        Self::Drumline100Sdk,
        Self::Drumline32Sdk,
        Self::Drumline32Otel,
    ];

    /// The contenders for figures that hardly depend on the concurrency.
    pub(super) const BY_DEFAULT: [Self; 3] = [Self::BareLoop, Self::Drumline32, Self::Drumline32Sdk];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::BareLoop => "bare loop",
            Self::Drumline100 => "drumline, concurrency 100",
            Self::Drumline32 => "drumline, concurrency 32",
            Self::Drumline100Sdk => "drumline, concurrency 100, SDK client",
            Self::Drumline32Sdk => "drumline, concurrency 32, SDK client",
            Self::Drumline32Otel => "drumline, concurrency 32, OpenTelemetry at 1 %",
        }
    }

    /// Returns the settings of the runtime; none for the loop, which is another program.
    ///
    /// The lean client is the default, and not set here: [`against`](crate::against) also starts builds without this setting.
    fn settings(self) -> Option<Variables<'static>> {
        match self {
            Self::BareLoop => None,
            Self::Drumline100 => Some(&[FEW_LINES, ("DRUMLINE_CONCURRENCY", "100")]),
            Self::Drumline32 | Self::Drumline32Otel => Some(&[FEW_LINES, ("DRUMLINE_CONCURRENCY", "32")]),
            Self::Drumline100Sdk => Some(&[FEW_LINES, ("DRUMLINE_CONCURRENCY", "100"), SDK]),
            Self::Drumline32Sdk => Some(&[FEW_LINES, ("DRUMLINE_CONCURRENCY", "32"), SDK]),
        }
    }
}

/// The number of requests to SQS since the worker's start, by action.
pub(super) type Requests = BTreeMap<String, u64>;

/// Builds the queue and the workers without the jobs of this repository, which are not needed here.
pub(crate) fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let examples = ["--example", queue::PROGRAM, "--example", NOOP, "--example", BARE_LOOP];
    Profile::Dist.build(&[&["--features", "worker"], &examples[..]].concat(), interrupts)
}

/// Returns the path of this build's worker.
pub(crate) fn noop() -> PathBuf {
    Profile::Dist.example(NOOP)
}

/// Starts a collector of OpenTelemetry, and returns the variables of a worker that exports the traces of a share of its jobs to it.
pub(crate) fn exporting(sampled: &str) -> io::Result<[(&'static str, String); 3]> {
    Ok([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector::start()?)),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG", sampled.to_owned()),
    ])
}

/// A running worker.
pub(super) struct Worker {
    process: Process,
    counts: Counts,
    started: Instant,
}

/// The source of the number of a worker's requests.
enum Counts {
    /// Its standard output, read after its end.
    AtTheEnd(PipeReader),
    /// Its metrics, at this address.
    Metrics(String),
}

impl Worker {
    pub(super) fn start(kind: Kind, queue_url: &str, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        Self::start_build(kind, &noop(), queue_url, interrupts)
    }

    /// Starts a contender. `noop` is the path of the runtime's program.
    pub(super) fn start_build(
        kind: Kind,
        noop: &Path,
        queue_url: &str,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        match kind.settings() {
            None => Self::start_loop(queue_url, interrupts),
            Some(settings) if kind == Kind::Drumline32Otel => {
                let exporting = exporting("0.01")?;
                let exporting = exporting.iter().map(|(name, value)| (*name, value.as_str()));
                let settings: Vec<_> = settings.iter().copied().chain(exporting).collect();
                Self::start_runtime(noop, queue_url, &settings, interrupts)
            }
            Some(settings) => Self::start_runtime(noop, queue_url, settings, interrupts),
        }
    }

    fn start_loop(queue_url: &str, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let mut command = Command::new(Profile::Dist.example(BARE_LOOP));
        let (output, input) = io::pipe()?;
        command.args(["--queue-url", queue_url]).stdout(input);
        Self::spawn(command, Counts::AtTheEnd(output), interrupts)
    }

    /// Starts the runtime at `noop` with these variables.
    pub(super) fn start_runtime(
        noop: &Path,
        queue_url: &str,
        variables: Variables<'_>,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        let http_addr = free_address()?;
        let mut command = Command::new(noop);
        // The other build may have a command line: then it accepts the argument.
        forget_settings(&mut command)
            .arg("run")
            .env("DRUMLINE_QUEUE_URL", queue_url)
            .env("DRUMLINE_HTTP_ADDR", &http_addr)
            .envs(variables.iter().copied());
        Self::spawn(command, Counts::Metrics(format!("http://{http_addr}/metrics")), interrupts)
    }

    fn spawn(mut command: Command, counts: Counts, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        // Not a terminal, so the logs are JSON, as in production.
        let log = File::create(folder.join(LOG))?;
        project::forget_aws(&mut command).stderr(log);
        let started = Instant::now();
        let process = on_core(cores::WORKER, || Process::spawn("the worker", &mut command, interrupts))?;
        Ok(Self { process, counts, started })
    }

    pub(super) fn id(&self) -> Pid {
        self.process.id()
    }

    /// Returns the time since its process was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.id())
    }

    /// Returns its resident memory in KiB: the peak, and the current value.
    pub(super) fn memory_kib(&self) -> Result<Memory> {
        memory_kib(self.id())
    }

    /// Lets it run for some time.
    pub(super) fn run_for(&mut self, time: Duration) -> Result<()> {
        match self.process.ended_within(time)? {
            None => Ok(()),
            Some(status) => bail!("the worker ended by itself with {status}"),
        }
    }

    /// Ends it, and returns its requests to SQS. The queue then answers all receives immediately.
    pub(super) fn end(self, queue: &mut Queue) -> Result<Requests> {
        match &self.counts {
            Counts::Metrics(_) => Ok(requests(&self.end_with_metrics(queue)?)),
            Counts::AtTheEnd(_) => self.end_with_output(queue),
        }
    }

    /// Ends the runtime, and returns its last metrics.
    pub(super) fn end_with_metrics(self, queue: &mut Queue) -> Result<String> {
        let Counts::Metrics(url) = self.counts else { bail!("the bare loop has no metrics") };
        let text = ureq::get(url).call()?.into_body().read_to_string()?;
        stop(self.process, queue, LOG)?;
        ensure!(
            total(&text, "drumline_sqs_client_replaced_total") == 0,
            "the SDK's client replaced the lean one, although it is measured here; see target/bench/{LOG}"
        );
        Ok(text)
    }

    /// Ends the loop, and returns the requests that it prints.
    fn end_with_output(self, queue: &mut Queue) -> Result<Requests> {
        let Counts::AtTheEnd(mut output) = self.counts else { bail!("the runtime prints no requests") };
        stop(self.process, queue, LOG)?;
        let mut text = String::new();
        output.read_to_string(&mut text)?;
        serde_json::from_str(&text).context("the bare loop did not print its requests")
    }
}

/// Ends a worker of the benchmark's queue, and checks that it ended well. `log` is the name of its log file in `target/bench`.
///
/// A draining worker waits for its receive in flight, up to 20 s, because it may bring messages: therefore the queue answers
/// that receive.
pub(crate) fn stop(mut process: Process, queue: &mut Queue, log: &str) -> Result<()> {
    process.terminate();
    queue.end_long_polls()?;
    let status = process.ended_within(END)?.context("the worker does not end")?;
    ensure!(status.success(), "the worker failed with {status}; see target/bench/{log}");
    Ok(())
}

/// Returns an address that is not in use at this moment.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Returns the number of requests to SQS by action, with all results.
pub(super) fn requests(metrics: &str) -> Requests {
    let mut requests = Requests::new();
    for (labels, count) in samples(metrics, "drumline_sqs_requests_total") {
        if let Some(action) = labels.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            *requests.entry(action.to_owned()).or_default() += count;
        }
    }
    requests
}

/// Returns the sum of a counter over all its labels.
pub(super) fn total(metrics: &str, name: &str) -> u64 {
    samples(metrics, name).map(|(_, count)| count).sum()
}

/// Returns the labels and the value of each sample of a counter.
fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
    let of_line = move |line: &'a str| {
        let (labels, count) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, count.parse().ok()?))
    };
    metrics.lines().filter_map(of_line)
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
        assert_eq!(requests(text), Requests::from(expected));
        assert_eq!(total(text, "drumline_jobs_total"), 70);
    }
}
