//! `cargo xtask bench layers`: measures what each layer of observation costs, by a worker with it beside one without it. See
//! `docs/benchmark.md`.

use std::fmt;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::{self, Interrupted};

use crate::cores;
use crate::machine::Machine;
use crate::output::Output;
use crate::slices::{self, Extent, Side, Slices};
use crate::tables::{right_align, table};
use crate::worker::{self, FEW_LINES, Variables, Worker, exporting};

/// A layer, and the settings that turn it on, beside those of [`BASE`]. The last value of a setting counts.
struct Layer {
    name: &'static str,
    settings: Variables<'static>,
    /// The share of jobs whose traces are exported; `None` without OpenTelemetry.
    sampled: Option<&'static str>,
}

/// All layers, in the order of the report. The first compares two equal workers, and shows the noise.
const LAYERS: [Layer; 8] = [
    Layer { name: "none", settings: &[], sampled: None },
    Layer { name: "log of one job in a hundred", settings: &[("DRUMLINE_JOB_LOG", "1/100")], sampled: None },
    Layer { name: "log of each job", settings: &[("DRUMLINE_JOB_LOG", "info")], sampled: None },
    Layer { name: "log lines of attempts", settings: &[("DRUMLINE_ATTEMPT_LOG", "on")], sampled: None },
    Layer { name: "metrics as EMF", settings: &[("DRUMLINE_EMF", "on")], sampled: None },
    Layer {
        name: "OpenTelemetry, traces of 1 %, no metrics",
        settings: &[("OTEL_METRICS_EXPORTER", "none")],
        sampled: Some("0.01"),
    },
    Layer { name: "OpenTelemetry, traces of 1 %, metrics", settings: &[], sampled: Some("0.01") },
    Layer { name: "OpenTelemetry, all traces, metrics", settings: &[], sampled: Some("1") },
];

/// The settings of all workers: the default concurrency.
const BASE: Variables<'static> = &[FEW_LINES];

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    extent: Extent,
    /// Measure only the layers whose names contain this text, such as OpenTelemetry
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Serialize)]
struct Measured {
    layer: &'static str,
    /// `other` is the worker without the layer.
    starts: Vec<Slices>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    messages: u32,
    layers: Vec<Measured>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    let layers: Vec<&Layer> = LAYERS.iter().filter(|layer| layer.name.contains(&options.only)).collect();
    ensure!(
        !layers.is_empty(),
        "no layer has {:?} in its name; without --only all are measured",
        options.only
    );
    step("build the server and the worker", &mut || worker::build(&interrupts))?;
    let extent = options.extent;
    let mut report = Report { machine, messages: extent.messages, layers: Vec::new() };
    for layer in layers {
        let mut starts = Vec::new();
        for start in 1..=extent.starts {
            step(&format!("{}, start {start} of {}", layer.name, extent.starts), &mut || {
                let without = Side::start(
                    |url| Worker::start_runtime(&worker::noop(), url, BASE, &interrupts),
                    &interrupts,
                )?;
                starts.push(Slices::measure(extent, without, layer.start(&interrupts)?)?);
                Ok(())
            })?;
        }
        report.layers.push(Measured { layer: layer.name, starts });
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

impl Layer {
    /// Starts a worker with this layer.
    fn start(&self, interrupts: &Receiver<Interrupted>) -> Result<Side> {
        let exporting = self.sampled.map(exporting).transpose()?;
        let mut settings = [BASE, self.settings].concat();
        settings.extend(exporting.iter().flatten().map(|(name, value)| (*name, value.as_str())));
        Side::start(|url| Worker::start_runtime(&worker::noop(), url, &settings, interrupts), interrupts)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.layers.first().map_or(&[][..], |measured| &measured.starts);
        let slices = first.first().map_or(0, |start| start.this.len());
        let (machine, messages, starts) = (&self.machine, self.messages, first.len());
        writeln!(
            f,
            "{machine}, {starts} starts, {slices} slices of {messages} messages of 300 bytes each\n"
        )?;
        let mut table = table();
        table.set_header([
            "CPU µs per message, medians, concurrency 32",
            "without",
            "with",
            "ratio, median of the starts (least to most)",
        ]);
        for Measured { layer, starts } in &self.layers {
            let [without, with, ratio] = slices::cells(starts.iter());
            table.add_row([*layer, &without, &with, &ratio]);
        }
        write!(f, "{}", right_align(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_row() {
        let machine = Machine::this().expect("reported by the system");
        let start = || Slices { other: vec![5.0, 6.0], this: vec![5.5, 6.6] };
        let measured = |layer: &Layer| Measured { layer: layer.name, starts: vec![start()] };
        let report =
            Report { machine, messages: 10, layers: LAYERS.iter().map(measured).collect() }.to_string();
        assert_eq!(report.matches("1.100 (1.100 to 1.100)").count(), LAYERS.len(), "{report}");
    }
}
