//! `cargo xtask bench relaying`: what an outbox in PostgreSQL costs beside sending the same messages directly. See `docs/benchmark.md`.
//!
//! One process sends in all ways in turn, on one core; the queue and PostgreSQL have the other.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use serde::{Deserialize, Serialize};
use xtask::interrupt;
use xtask::process::Process;
use xtask::project;
use xtask::service::lasting::{Kind, LastingServer};

use crate::cores;
use crate::figures::Spread;
use crate::machine::Machine;
use crate::output::Output;
use crate::programs::Profile;
use crate::queue::{self, Queue};
use crate::tables::{right_align, table};
use crate::usage::{forget_settings, on_core};

const PROGRAM: &str = "relay_load";

/// The goal: the relay's rate, of that of plain batches.
const GOAL: f64 = 0.7;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds, in each of which all ways are measured in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Messages a way and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    messages: u64,
    /// Measure the development build: sooner built, and good for a first look
    #[arg(long)]
    dev: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let profile = if options.dev { Profile::Dev } else { Profile::Dist };
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    step("build the queue and the sender", &mut || {
        let examples = ["--example", queue::PROGRAM, "--example", PROGRAM];
        profile.build(&[&["--features", "relaying"], &examples[..]].concat(), &interrupts)
    })?;
    let postgres = on_core(cores::SERVER, || LastingServer::start(Kind::Postgres, "bench-relaying"))?;
    let queue = Queue::start_build(profile, &interrupts)?;
    let folder = project::target().join("bench");
    fs::create_dir_all(&folder)?;
    let (output, to_us) = io::pipe()?;
    let mut command = Command::new(profile.example(PROGRAM));
    command.args(["--queue-url", &queue.url, "--outbox-url", &postgres.url()]);
    command.args(["--messages", &options.messages.to_string(), "--rounds", &options.rounds.to_string()]);
    project::forget_aws(forget_settings(&mut command));
    command.stdout(to_us).stderr(File::create(folder.join("relay_load.log"))?);
    let mut process = on_core(cores::WORKER, || Process::spawn(PROGRAM, &mut command, &interrupts))?;
    drop(command);
    let mut lines = BufReader::new(output).lines();
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        step(&format!("round {number} of {}", options.rounds), &mut || {
            let line =
                lines.next().context("the sending process failed; see target/bench/relay_load.log")??;
            rounds.push(serde_json::from_str(&line)?);
            Ok(())
        })?;
    }
    let status = process.wait()?;
    ensure!(status.success(), "the sending process ended with {status}; see target/bench/relay_load.log");
    options.output.print(&Report { machine, messages: options.messages, rounds })?;
    Ok(ExitCode::SUCCESS)
}

/// The microseconds of each way.
#[derive(Debug, Serialize, Deserialize)]
struct Round {
    send_batch: u64,
    send_all: u64,
    relay: u64,
}

/// A way of sending, with its microseconds.
type Way = (&'static str, fn(&Round) -> u64);

const WAYS: [Way; 3] = [
    ("send_batch, messages ready", |round| round.send_batch),
    ("Producer::send_all", |round| round.send_all),
    ("relay of PostgreSQL", |round| round.relay),
];

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    messages: u64,
    rounds: Vec<Round>,
}

impl Report {
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    fn rates(&self, way: fn(&Round) -> u64) -> Spread {
        Spread::of(self.rounds.iter().map(|round| self.messages as f64 / (way(round) as f64 / 1e6)))
    }

    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    fn ratio(&self, way: fn(&Round) -> u64) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.send_batch as f64 / way(round) as f64))
    }

    fn table(&self) -> Table {
        let mut table = table();
        table.set_header(["median (least to most)", "messages per second", "of send_batch"]);
        for (name, way) in WAYS {
            let (rates, ratio) = (self.rates(way), self.ratio(way));
            table.add_row([
                name.to_owned(),
                format!("{:.0} ({:.0} to {:.0})", rates.median, rates.min, rates.max),
                format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max),
            ]);
        }
        right_align(table)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, messages, rounds, .. } = self;
        writeln!(f, "{machine}, {} rounds of {messages} messages of 300 bytes\n", rounds.len())?;
        writeln!(f, "{}\n", self.table())?;
        let is_met = self.ratio(|round| round.relay).median >= GOAL;
        write!(f, "goal of {GOAL} for the relay: {}", if is_met { "met" } else { "not met" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_compared_with_plain_batches() {
        let round = |relay| Round { send_batch: 1_000_000, send_all: 1_250_000, relay };
        let report = |relay| Report {
            machine: Machine { cores: 2, processor: None },
            messages: 5_000,
            rounds: vec![round(relay), round(relay)],
        };
        let text = report(1_400_000).to_string();
        assert!(text.contains("5000 (5000 to 5000)") && text.contains("0.71"), "{text}");
        assert!(text.ends_with("relay: met") && report(1_500_000).to_string().ends_with("not met"));
    }
}
