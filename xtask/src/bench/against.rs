//! `cargo xtask bench against`: this build of the consumer beside another one, such as an earlier commit's. See
//! `docs/benchmark.md`.
//!
//! Both run all the time, and drain slices of a tenth of a second in turn. What disturbs a machine lasts longer than that,
//! and so disturbs both: a difference of one per cent can be told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use super::figures::{Spread, sorted};
use super::queue::Queue;
use super::report::{Machine, right_align, table};
use super::worker::{Kind, NOOP, Worker};
use super::{Output, WARM_UP, build, needs_two_cores};
use crate::interrupt::{self, Interrupted};
use crate::progress::phase;
use crate::project;

/// What is compared, one after the other.
const KINDS: [Kind; 2] = [Kind::Drumline100, Kind::Drumline32];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The other build's worker. It comes of `cargo build --release --package drumline-consumer --no-default-features
    /// --example noop` in another work tree, as target/release/examples/noop
    #[arg(value_name = "NOOP")]
    other: PathBuf,
    /// How many slices each build drains
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    slices: u32,
    /// Messages a slice
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// What is printed at the end
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A build at work.
struct Side {
    queue: Queue,
    worker: Worker,
}

/// What both builds took for their slices, in microseconds of processor time a message.
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
    needs_two_cores(&machine)?;
    ensure!(options.other.is_file(), "there is no worker at {}", options.other.display());
    let interrupts = interrupt::catch()?;
    let quiet = options.output == Output::Json;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| {
        if quiet { work() } else { phase(name, work) }
    };
    step("build the server and this worker", &mut || build(&interrupts))?;
    let mut report = Report { machine, messages: options.messages, comparisons: Vec::new() };
    for kind in KINDS {
        step(&format!("{}: {} slices of each build", kind.label(), options.slices), &mut || {
            report.comparisons.push(compare(kind, options, &interrupts)?);
            Ok(())
        })?;
    }
    match options.output {
        Output::Table => println!("\n{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(worker: Kind, options: &Options, interrupts: &Receiver<Interrupted>) -> Result<Comparison> {
    let mut other = Side::start(worker, &options.other, interrupts)?;
    let mut this = Side::start(worker, &project::example(NOOP), interrupts)?;
    let mut comparison = Comparison { worker, other: Vec::new(), this: Vec::new() };
    for slice in 0..options.slices {
        // Each goes first as often as the other.
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
        queue.wait()?;
        queue.drain(WARM_UP)?;
        queue.wait()?;
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
    /// This build's to the other's, slice by slice: the median, and the bounds within which it is with a probability of
    /// 95 %, whatever the distribution.
    fn ratio(&self) -> (f64, f64, f64) {
        let ratios = sorted(self.this.iter().zip(&self.other).map(|(this, other)| this / other));
        let median = Spread::of(ratios.iter().copied()).median;
        #[allow(clippy::cast_precision_loss, reason = "a count of slices")]
        let count = ratios.len() as f64;
        // The ranks of a binomial distribution, which is a normal one from some ten slices on.
        let reach = 0.98 * count.sqrt();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the count")]
        let rank = |rank: f64| ratios[(rank as usize).min(ratios.len() - 1)];
        (median, rank((count / 2.0 - reach).max(0.0)), rank(count / 2.0 + reach))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slices = self.comparisons.first().map_or(0, |comparison| comparison.this.len());
        writeln!(f, "{}, {slices} slices of {} messages of 300 bytes\n", self.machine, self.messages)?;
        let mut table = table();
        table.set_header(["median CPU µs per message", "other build", "this build", "ratio (95 %)"]);
        for comparison in &self.comparisons {
            let median = |times: &[f64]| format!("{:.2}", Spread::of(times.iter().copied()).median);
            let (ratio, from, to) = comparison.ratio();
            table.add_row([
                comparison.worker.label().to_owned(),
                median(&comparison.other),
                median(&comparison.this),
                format!("{ratio:.3} ({from:.3} to {to:.3})"),
            ]);
        }
        write!(f, "{}", right_align(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_this_build_to_the_other_slice_by_slice() {
        // The machine gets slower and slower, and one slice in ten is disturbed.
        let pace: Vec<f64> = (0..100).map(|slice| 30.0 + f64::from(slice)).collect();
        let disturbed = |slice: usize| if slice % 10 == 3 { 2.0 } else { 1.0 };
        let this = pace.iter().enumerate().map(|(slice, pace)| pace * 1.05 * disturbed(slice)).collect();
        let comparison = Comparison { worker: KINDS[0], other: pace, this };
        let (ratio, from, to) = comparison.ratio();
        for figure in [ratio, from, to] {
            assert!((figure - 1.05).abs() < 1e-9, "{comparison:?}");
        }
        let machine = Machine::this().expect("told by the system");
        let report = Report { machine, messages: 10, comparisons: vec![comparison] }.to_string();
        assert!(report.contains("100 slices of 10 messages"), "{report}");
        assert!(report.contains("1.050 (1.050 to 1.050)"), "{report}");
    }

    #[test]
    fn what_differs_by_chance_has_wide_bounds() {
        let this = (0..100).map(|slice| 1.0 + f64::from(slice) / 100.0).collect();
        let comparison = Comparison { worker: KINDS[0], other: vec![1.0; 100], this };
        let (ratio, from, to) = comparison.ratio();
        assert!((ratio - 1.495).abs() < 1e-9 && (from - 1.40).abs() < 0.015 && (to - 1.59).abs() < 0.015);
    }
}
