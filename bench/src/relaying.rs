//! `cargo xtask bench relaying`: measures the cost of an outbox in PostgreSQL in comparison with sending the same messages
//! directly. See `docs/benchmark.md`.
//!
//! One process sends in all ways in turn on one core; the queue and PostgreSQL use the other. A second process does the same
//! with requests as slow as those to SQS; it does not count for the goal.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};
use xtask::interrupt::{self, Interrupted};
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

/// The goal: the relay's rate as a share of that of plain batches.
const GOAL: f64 = 0.7;

/// The approximate time in which SQS responds to a batch within its region.
const LATENCY_MS: u64 = 10;

/// The divisor of the number of messages with that latency, because all ways are slow then.
const FEWER: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds; each measures all ways in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Messages per way and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    messages: u64,
    /// Measure the development build: faster to build, and sufficient for a first impression
    #[arg(long)]
    dev: bool,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let profile = if options.dev { Profile::Dev } else { Profile::Dist };
    options.output.step("build the queue and the sender", &mut || {
        let examples = ["--example", queue::PROGRAM, "--example", PROGRAM];
        profile.build(&[&["--features", "relaying"], &examples[..]].concat(), &interrupts)
    })?;
    let postgres = on_core(cores::SERVER, || LastingServer::start(Kind::Postgres, "bench-relaying"))?;
    let queue = Queue::start_build(profile, &interrupts)?;
    let program = Program { profile, queue_url: &queue.url, outbox_url: postgres.url(), options };
    let near = program.measure(0, options.messages, &interrupts)?;
    let far = program.measure(LATENCY_MS, options.messages.div_ceil(FEWER), &interrupts)?;
    options.output.print(&Report { machine, near, far })?;
    Ok(ExitCode::SUCCESS)
}

/// The process that sends.
struct Program<'a> {
    profile: Profile,
    queue_url: &'a str,
    outbox_url: String,
    options: &'a Options,
}

impl Program<'_> {
    fn measure(
        &self,
        latency_ms: u64,
        messages: u64,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Measured> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        let (output, to_us) = io::pipe()?;
        let mut command = Command::new(self.profile.example(PROGRAM));
        command.args(["--queue-url", self.queue_url, "--outbox-url", &self.outbox_url]);
        command.args(["--messages", &messages.to_string(), "--rounds", &self.options.rounds.to_string()]);
        command.args(["--latency-ms", &latency_ms.to_string()]);
        project::forget_aws(forget_settings(&mut command));
        command.stdout(to_us).stderr(File::create(folder.join("relay_load.log"))?);
        let mut process = on_core(cores::WORKER, || Process::spawn(PROGRAM, &mut command, interrupts))?;
        drop(command);
        let mut lines = BufReader::new(output).lines();
        let mut rounds = Vec::new();
        for number in 1..=self.options.rounds {
            let name = format!("latency {latency_ms} ms, round {number} of {}", self.options.rounds);
            self.options.output.step(&name, &mut || {
                let line =
                    lines.next().context("the sending process failed; see target/bench/relay_load.log")??;
                rounds.push(serde_json::from_str(&line)?);
                Ok(())
            })?;
        }
        let status = process.wait()?;
        ensure!(status.success(), "the sending process ended with {status}; see target/bench/relay_load.log");
        Ok(Measured { latency_ms, messages, rounds })
    }
}

/// The duration of each way in microseconds.
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

/// The rounds of one latency.
#[derive(Debug, Serialize)]
struct Measured {
    latency_ms: u64,
    messages: u64,
    rounds: Vec<Round>,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    /// The rounds without latency, for which the goal applies.
    near: Measured,
    far: Measured,
}

impl Measured {
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
        let Self { machine, near, far } = self;
        writeln!(f, "{machine}, messages of 300 bytes\n")?;
        for measured in [near, far] {
            let Measured { latency_ms, messages, rounds } = measured;
            writeln!(f, "{} rounds of {messages}, requests of {latency_ms} ms at least\n", rounds.len())?;
            writeln!(f, "{}\n", measured.table())?;
        }
        let is_met = near.ratio(|round| round.relay).median >= GOAL;
        write!(f, "goal of {GOAL} for the relay: {}", if is_met { "met" } else { "not met" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_compared_with_plain_batches() {
        let round = |relay| Round { send_batch: 1_000_000, send_all: 1_250_000, relay };
        let measured = |latency_ms, relay| Measured {
            latency_ms,
            messages: 5_000,
            rounds: vec![round(relay), round(relay)],
        };
        let report = |relay| Report {
            machine: Machine { cores: 2, processor: None },
            near: measured(0, relay),
            far: measured(LATENCY_MS, 1_000_000),
        };
        let text = report(1_400_000).to_string();
        assert!(text.contains("5000 (5000 to 5000)") && text.contains("0.71"), "{text}");
        assert!(text.ends_with("relay: met") && report(1_500_000).to_string().ends_with("not met"));
    }
}
