//! `cargo xtask bench against`: compares this build of the consumer with another one, for example an earlier commit. See
//! `docs/benchmark.md`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use serde::Serialize;

use xtask::interrupt;

use crate::cores;
use crate::machine::Machine;
use crate::output::Output;
use crate::slices::{self, Extent, Side, Slices};
use crate::tables::{right_align, table};
use crate::worker::{self, Kind, Worker};

/// The contenders to compare, one after the other.
const KINDS: [Kind; 2] = [Kind::Drumline100, Kind::Drumline32];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The other build's worker. It is built with `cargo build --profile dist --package drumline-bench --no-default-features
    /// --features worker --example noop` in another work tree, as target/dist/examples/noop
    #[arg(value_name = "NOOP")]
    other: PathBuf,
    #[command(flatten)]
    extent: Extent,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// One start of both builds.
#[derive(Debug, Serialize)]
struct Comparison {
    worker: Kind,
    #[serde(flatten)]
    slices: Slices,
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
    let extent = options.extent;
    let mut report = Report { machine, messages: extent.messages, comparisons: Vec::new() };
    for kind in KINDS {
        for start in 1..=extent.starts {
            step(&format!("{}, start {start} of {}", kind.label(), extent.starts), &mut || {
                let side = |noop: PathBuf| {
                    Side::start(|url| Worker::start_build(kind, &noop, url, &interrupts), &interrupts)
                };
                let slices = Slices::measure(extent, side(options.other.clone())?, side(worker::noop())?)?;
                report.comparisons.push(Comparison { worker: kind, slices });
                Ok(())
            })?;
        }
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts = self.comparisons.len() / KINDS.len();
        let slices = self.comparisons.first().map_or(0, |comparison| comparison.slices.this.len());
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
            let of_kind = self.comparisons.iter().filter(|comparison| comparison.worker == kind);
            let [other, this, ratio] = slices::cells(of_kind.map(|comparison| &comparison.slices));
            table.add_row([kind.label(), &other, &this, &ratio]);
        }
        write!(f, "{}", right_align(table))
    }
}
