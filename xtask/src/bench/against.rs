//! `cargo xtask bench against`: this build of the runtime beside another one, such as an earlier commit's. See
//! `docs/benchmark.md`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::figures::{self, Figure, Figures, Spread};
use super::report::{Machine, right_align, table};
use super::rounds::drain;
use super::worker::{Kind, NOOP};
use super::{Output, build, needs_two_cores};
use crate::interrupt;
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
    /// How often each build drains the queue
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=500))]
    rounds: u32,
    /// Messages a build and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// What is printed at the end
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Both builds' figures of one round.
#[derive(Serialize)]
struct Round {
    worker: Kind,
    other: Figures,
    this: Figures,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    messages: u32,
    rounds: Vec<Round>,
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
    let this = project::example(NOOP);
    let mut report = Report { machine, messages: options.messages, rounds: Vec::new() };
    for kind in KINDS {
        for round in 1..=options.rounds {
            let measure = |noop| drain(kind, noop, options.messages as usize, &interrupts);
            step(&format!("{}, round {round} of {}", kind.label(), options.rounds), &mut || {
                // Each goes first as often as the other.
                let (other, this) = if round % 2 == 1 {
                    let other = measure(&options.other)?;
                    (other, measure(&this)?)
                } else {
                    let this = measure(&this)?;
                    (measure(&options.other)?, this)
                };
                report.rounds.push(Round { worker: kind, other, this });
                Ok(())
            })?;
        }
    }
    match options.output {
        Output::Table => println!("\n{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(ExitCode::SUCCESS)
}

impl Report {
    /// One line of the table.
    fn row(&self, kind: Kind, figure: &Figure) -> Vec<String> {
        let rounds = || self.rounds.iter().filter(|round| round.worker == kind);
        let (other, this) = (
            Spread::of(rounds().map(|round| (figure.of)(&round.other))),
            Spread::of(rounds().map(|round| (figure.of)(&round.this))),
        );
        let pairwise = Spread::of(rounds().map(|round| (figure.of)(&round.this) / (figure.of)(&round.other)));
        let digits = figure.digits;
        let spread =
            |Spread { median, min, max }| format!("{median:.digits$} ({min:.digits$} to {max:.digits$})");
        vec![
            format!("{}: {}", kind.label(), figure.name.trim_start()),
            spread(other),
            spread(this),
            format!("{:.2} ({:.2})", this.median / other.median, pairwise.median),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.rounds.len() / KINDS.len();
        writeln!(f, "{}, {count} rounds of {} messages of 300 bytes\n", self.machine, self.messages)?;
        let mut table = table();
        table.set_header(["median (least to most)", "other build", "this build", "ratio (pairwise)"]);
        for kind in KINDS {
            for figure in &figures::ALL {
                table.add_row(self.row(kind, figure));
            }
        }
        write!(f, "{}", right_align(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_ms_per_1000: f64) -> Figures {
        Figures {
            cpu_ms_per_1000,
            messages_per_s: 1.0,
            requests_per_message: 0.2,
            receives_per_message: 0.1,
            deletes_per_message: 0.1,
            peak_memory_mib: 8.0,
        }
    }

    #[test]
    fn ratios_are_this_build_to_the_other_of_the_same_worker() {
        let rounds = [(10.0, 12.0), (20.0, 20.0), (30.0, 33.0)].into_iter();
        let of = |worker, factor: f64| {
            move |(other, this): (f64, f64)| Round {
                worker,
                other: figures(other),
                this: figures(this * factor),
            }
        };
        let rounds = rounds.clone().map(of(KINDS[0], 1.0)).chain(rounds.map(of(KINDS[1], 2.0))).collect();
        let report = Report { machine: Machine::this().expect("told by the system"), messages: 10, rounds };
        let row = |kind| report.row(kind, &figures::ALL[0]).join(" | ");
        let (first, second) = (row(KINDS[0]), row(KINDS[1]));
        assert!(first.ends_with("20.00 (10.00 to 30.00) | 20.00 (12.00 to 33.00) | 1.00 (1.10)"), "{first}");
        assert!(second.ends_with("40.00 (24.00 to 66.00) | 2.00 (2.20)"), "{second}");
        assert!(report.to_string().contains("3 rounds of 10 messages"), "{report}");
    }
}
