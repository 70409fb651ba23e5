//! `cargo xtask bench against`: compares this build of the consumer with another one, for example an earlier commit. See
//! `docs/benchmark.md`.
//!
//! Both run concurrently, and drain slices of a tenth of a second in turn. Disturbances of a machine last longer than that, so
//! they affect both. The placement of a process's memory makes a difference of a few percent, too, so both are restarted
//! several times.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::{self, Interrupted};

use crate::cores;
use crate::figures::Spread;
use crate::machine::Machine;
use crate::output::Output;
use crate::queue::Queue;
use crate::tables::{right_align, table};
use crate::worker::{self, Kind, WARM_UP, Worker};

/// The contenders to compare, one after the other.
const KINDS: [Kind; 2] = [Kind::Drumline100, Kind::Drumline32];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The other build's worker. It is built with `cargo build --profile dist --package drumline-bench --no-default-features
    /// --features worker --example noop` in another work tree, as target/dist/examples/noop
    #[arg(value_name = "NOOP")]
    other: PathBuf,
    /// The number of times both builds are started
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    starts: u32,
    /// The number of slices that each drains per start
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    slices: u32,
    /// The number of messages per slice
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A running build.
struct Side {
    queue: Queue,
    worker: Worker,
}

/// The results of both builds for the slices of one start, in microseconds of processor time per message.
#[derive(Debug, Serialize)]
struct Comparison {
    worker: Kind,
    other: Vec<f64>,
    this: Vec<f64>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    messages: u32,
    comparisons: Vec<Comparison>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    ensure!(options.other.is_file(), "there is no worker at {}", options.other.display());
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    step("build the server and this worker", &mut || worker::build(&interrupts))?;
    let mut report = Report { machine, messages: options.messages, comparisons: Vec::new() };
    for kind in KINDS {
        for start in 1..=options.starts {
            step(&format!("{}, start {start} of {}", kind.label(), options.starts), &mut || {
                report.comparisons.push(compare(kind, options, &interrupts)?);
                Ok(())
            })?;
        }
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

fn compare(worker: Kind, options: &Options, interrupts: &Receiver<Interrupted>) -> Result<Comparison> {
    let mut other = Side::start(worker, &options.other, interrupts)?;
    let mut this = Side::start(worker, &worker::noop(), interrupts)?;
    let mut comparison = Comparison { worker, other: Vec::new(), this: Vec::new() };
    for slice in 0..options.slices {
        // Each build goes first equally often.
        if slice % 2 == 0 {
            comparison.other.push(other.drain(options.messages)?);
            comparison.this.push(this.drain(options.messages)?);
        } else {
            comparison.this.push(this.drain(options.messages)?);
            comparison.other.push(other.drain(options.messages)?);
        }
    }
    other.end()?;
    this.end()?;
    Ok(comparison)
}

impl Side {
    fn start(kind: Kind, noop: &Path, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let mut queue = Queue::start(interrupts)?;
        let worker = Worker::start_build(kind, noop, &queue.url, interrupts)?;
        queue.warm_up(WARM_UP)?;
        Ok(Self { queue, worker })
    }

    fn drain(&mut self, messages: u32) -> Result<f64> {
        let before = self.worker.processor_time()?;
        self.queue.drain(messages as usize)?;
        self.queue.wait()?;
        let took: Duration = self.worker.processor_time()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e6 / f64::from(messages))
    }

    fn end(mut self) -> Result<()> {
        self.worker.end(&mut self.queue).map(drop)
    }
}

impl Comparison {
    /// Returns the ratio of this build to the other: the median of the slices' ratios.
    fn ratio(&self) -> f64 {
        median(self.this.iter().zip(&self.other).map(|(this, other)| this / other))
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).median
}

impl Report {
    /// Returns one line of the table.
    fn row(&self, kind: Kind) -> [String; 4] {
        let of_kind = || self.comparisons.iter().filter(|comparison| comparison.worker == kind);
        let other = median(of_kind().flat_map(|comparison| comparison.other.iter().copied()));
        let this = median(of_kind().flat_map(|comparison| comparison.this.iter().copied()));
        let Spread { median, min, max } = Spread::of(of_kind().map(Comparison::ratio));
        [
            kind.label().to_owned(),
            format!("{other:.2}"),
            format!("{this:.2}"),
            format!("{median:.3} ({min:.3} to {max:.3})"),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts = self.comparisons.len() / KINDS.len();
        let slices = self.comparisons.first().map_or(0, |comparison| comparison.this.len());
        let (machine, messages) = (&self.machine, self.messages);
        writeln!(
            f,
            "{machine}, {starts} starts, {slices} slices of {messages} messages of 300 bytes each\n"
        )?;
        let mut table = table();
        table.set_header([
            "CPU µs per message, medians",
            "other build",
            "this build",
            "ratio, median of the starts (least to most)",
        ]);
        for kind in KINDS {
            table.add_row(self.row(kind));
        }
        write!(f, "{}", right_align(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the results of a machine that gets slower, and has a disturbance in one slice of ten.
    fn comparison(worker: Kind, factor: f64) -> Comparison {
        let other: Vec<f64> = (0..100).map(|slice| 30.0 + f64::from(slice)).collect();
        let disturbed = |slice: usize| if slice % 10 == 3 { 2.0 } else { 1.0 };
        let this = other.iter().enumerate().map(|(slice, pace)| pace * factor * disturbed(slice)).collect();
        Comparison { worker, other, this }
    }

    #[test]
    fn ratios_are_this_build_to_the_other_slice_by_slice() {
        let machine = Machine::this().expect("reported by the system");
        let comparisons = KINDS
            .into_iter()
            .flat_map(|kind| [1.02, 1.05, 0.99].map(|factor| comparison(kind, factor)))
            .collect();
        let report = Report { machine, messages: 10, comparisons }.to_string();
        assert!(report.contains("3 starts, 100 slices of 10 messages"), "{report}");
        assert_eq!(report.matches("1.020 (0.990 to 1.050)").count(), KINDS.len(), "{report}");
    }
}
