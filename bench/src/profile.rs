//! `cargo xtask bench profile`: shows the layers of a worker in which a message's processor time is spent. See
//! `docs/benchmark.md`.
//!
//! `perf` samples the stacks of a worker that drains a queue. The worker is built with frame pointers, separately from the
//! other builds.

mod layers;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::Table;
use crossbeam_channel::Receiver;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use xtask::interrupt::{self, Interrupted};
use xtask::process::Process;
use xtask::project;

use crate::cores;
use crate::machine::Machine;
use crate::output::Output;
use crate::programs::Profile;
use crate::queue::{self, Queue};
use crate::tables::{right_align, table};
use crate::usage::on_core;
use crate::worker::{NOOP, WARM_UP, Worker};

use layers::Layer;

/// The number of samples per second: a prime number, to avoid synchronization with periodic work.
const FREQUENCY: &str = "2999";

/// The times for `perf` to attach itself, and to write its file.
const ATTACH: Duration = Duration::from_millis(500);
const WRITE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The worker's concurrency
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// The client of the worker's requests
    #[arg(long, value_enum, default_value_t = SqsClient::Lean)]
    sqs_client: SqsClient,
    /// Messages that are drained meanwhile
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    messages: u32,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The setting `DRUMLINE_SQS_CLIENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum SqsClient {
    Lean,
    Sdk,
}

impl SqsClient {
    fn name(self) -> &'static str {
        match self {
            Self::Lean => "lean",
            Self::Sdk => "sdk",
        }
    }
}

/// The samples of a layer, by thread.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Samples {
    main_thread: u64,
    other_threads: u64,
}

impl Samples {
    fn all(self) -> u64 {
        self.main_thread + self.other_threads
    }
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    concurrency: u32,
    sqs_client: SqsClient,
    messages: u32,
    cpu_us_per_message: f64,
    layers: BTreeMap<Layer, Samples>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    check_perf(&interrupts)?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    step("build the queue and the worker, with frame pointers", &mut || build(&interrupts))?;
    let mut report = None;
    step(&format!("sample while {} messages are drained", options.messages), &mut || {
        report = Some(measure(&machine, options, &interrupts)?);
        Ok(())
    })?;
    options.output.print(&report.context("nothing was measured")?)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns an error if `perf` is missing.
fn check_perf(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let mut command = Command::new("perf");
    let installed = Process::spawn("perf", command.arg("--version").stdout(Stdio::null()), interrupts)
        .and_then(|mut perf| perf.wait());
    ensure!(
        installed.is_ok_and(|status| status.success()),
        "perf is not installed, or not for this kernel: a profile needs it (Debian's package is linux-perf)"
    );
    Ok(())
}

/// Returns the folder of these builds, which have other flags than the measured ones.
fn folder() -> PathBuf {
    project::target().join("profile")
}

/// Returns the path of an example that is built with frame pointers.
fn example(name: &str) -> PathBuf {
    folder().join("dist/examples").join(name)
}

fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let mut cargo = project::cargo();
    cargo.env("CARGO_TARGET_DIR", folder()).env("RUSTFLAGS", "-C force-frame-pointers=yes");
    let examples = ["--features", "worker", "--example", queue::PROGRAM, "--example", NOOP];
    Profile::Dist.build_by(cargo, &examples, interrupts)
}

fn measure(machine: &Machine, options: &Options, interrupts: &Receiver<Interrupted>) -> Result<Report> {
    let Options { concurrency, sqs_client, messages, .. } = *options;
    let mut queue = Queue::spawn(Command::new(example(queue::PROGRAM)), interrupts)?;
    let concurrency_text = concurrency.to_string();
    let variables =
        [("DRUMLINE_CONCURRENCY", concurrency_text.as_str()), ("DRUMLINE_SQS_CLIENT", sqs_client.name())];
    let worker = Worker::start_runtime(&example(NOOP), &queue.url, &variables, interrupts)?;
    queue.warm_up(WARM_UP)?;

    let data = project::target().join("bench/profile.data");
    let perf = Perf::start(worker.id(), &data, interrupts)?;
    let before = worker.processor_time()?;
    queue.drain(messages as usize)?;
    let cpu = worker.processor_time()?.saturating_sub(before);
    perf.stop()?;
    worker.end(&mut queue)?;

    Ok(Report {
        machine: machine.clone(),
        concurrency,
        sqs_client,
        messages,
        cpu_us_per_message: cpu.as_secs_f64() * 1e6 / f64::from(messages),
        layers: samples(&script(&data)?)?,
    })
}

/// A `perf` process that samples a process.
struct Perf {
    process: Process,
    log: PathBuf,
}

impl Perf {
    fn start(worker: Pid, data: &Path, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let log = data.with_extension("log");
        let mut command = Command::new("perf");
        // The processor's clock, because virtual machines have no counters.
        command.args(["record", "--event", "cpu-clock", "--freq", FREQUENCY, "--call-graph", "fp"]);
        command.args(["--pid", &worker.as_raw_nonzero().to_string(), "--output"]).arg(data);
        let file = File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        let process = on_core(cores::SERVER, || Process::spawn("perf", &mut command, interrupts))?;
        let mut perf = Self { process, log };
        if perf.process.ended_within(ATTACH)?.is_some() {
            bail!("perf cannot sample the worker: {}", perf.message());
        }
        Ok(perf)
    }

    /// Makes it write its samples.
    fn stop(mut self) -> Result<()> {
        kill_process(self.process.id(), Signal::INT)?;
        // Its status is that of the signal.
        ensure!(self.process.ended_within(WRITE)?.is_some(), "perf does not end: {}", self.message());
        Ok(())
    }

    fn message(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }
}

/// Returns the sampled stacks as `perf` prints them.
fn script(data: &Path) -> Result<String> {
    let mut command = Command::new("perf");
    let output = command.args(["script", "--fields", "comm,ip,sym", "--input"]).arg(data).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf script failed: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Counts the samples of each layer. A sample is a paragraph: the name of its thread, then its functions from the innermost on,
/// each after its address.
fn samples(script: &str) -> Result<BTreeMap<Layer, Samples>> {
    let mut layers = BTreeMap::<Layer, Samples>::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.lines().map(str::trim).filter(|line| !line.is_empty());
        let Some(thread) = lines.next() else { continue };
        let functions = lines.filter_map(|line| {
            let (address, function) = line.split_once(' ').unwrap_or((line, ""));
            Some((u64::from_str_radix(address, 16).ok()?, function))
        });
        let of_layer = layers.entry(Layer::of(functions)).or_default();
        // The main thread has the name of the program.
        if thread == NOOP { of_layer.main_thread += 1 } else { of_layer.other_threads += 1 }
    }
    ensure!(!layers.is_empty(), "perf has no samples of the worker");
    Ok(layers)
}

impl Report {
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    fn table(&self) -> Table {
        let mut table = table();
        table.set_header(["layer", "share, %", "µs per message", "main thread", "other threads"]);
        let sum = self.layers.values().fold(Samples::default(), |sum, layer| Samples {
            main_thread: sum.main_thread + layer.main_thread,
            other_threads: sum.other_threads + layer.other_threads,
        });
        let mut add = |label: &str, samples: Samples| {
            let share = |count: u64| count as f64 / sum.all() as f64;
            let micros = |count: u64| format!("{:.2}", share(count) * self.cpu_us_per_message);
            table.add_row([
                label.to_owned(),
                format!("{:.1}", 100.0 * share(samples.all())),
                micros(samples.all()),
                micros(samples.main_thread),
                micros(samples.other_threads),
            ]);
        };
        for layer in Layer::ALL {
            add(layer.label(), self.layers.get(&layer).copied().unwrap_or_default());
        }
        add("all", sum);
        right_align(table)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, concurrency, sqs_client, messages, .. } = self;
        let client = sqs_client.name();
        writeln!(
            f,
            "{machine}, concurrency {concurrency}, client {client}, {messages} messages under perf\n"
        )?;
        write!(f, "{}", self.table())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_layer_and_thread() {
        let script = "noop \n\tffffffff815e14dc unmap_page_range\n\t  101b07 __madvise\n\n\
            noop \n\t 80f593 drumline::core::outcome_cache::OutcomeCache::learn\n\n\
            drumline-job \n\t 13147e8 mi_free\n\t fdfee5 <drumline_store::memory::MemoryStore as drumline_store::store::Store>::claim\n\n\
            drumline-job \n\t 16db20\n\n";
        let layers = samples(script).expect("there are samples");
        let on_main = Samples { main_thread: 1, other_threads: 0 };
        let elsewhere = Samples { main_thread: 0, other_threads: 1 };
        let expected = [
            (Layer::Kernel, on_main),
            (Layer::Ledger, on_main),
            (Layer::Claim, elsewhere),
            (Layer::Other, elsewhere),
        ];
        assert_eq!(layers, expected.into());
        assert!(samples("\n\n").is_err());

        let (machine, sqs_client) = (Machine { cores: 2, processor: None }, SqsClient::Lean);
        let report =
            Report { machine, concurrency: 100, sqs_client, messages: 10, cpu_us_per_message: 8.0, layers };
        let text = report.to_string();
        assert!(text.contains("25.0 |           2.00 |        2.00 |          0.00"), "{text}");
    }
}
