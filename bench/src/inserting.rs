//! `cargo xtask bench inserting`: measures jobs that insert rows into PostgreSQL, one by one, and many at once with a batch
//! handler. See `docs/benchmark.md`.
//!
//! All ways use the same worker with the same settings on one core; the queue and PostgreSQL use the other. Each way is
//! measured without kills, and then runs with kills of the worker, after which each row must exist exactly once.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use crossbeam_channel::Receiver;
use serde::Serialize;
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
use crate::worker;

const PROGRAM: &str = "insert_rows";

/// The worker's log, in `target/bench`.
const LOG: &str = "insert_rows.log";

/// The goal: the rate of rows in batches divided by that of rows one by one.
const GOAL: f64 = 5.0;

/// Two batches of 100: one is collected while the other runs.
const CONCURRENCY: &str = "200";

/// The number of jobs before the measurement: connections are open then.
const WARM_UP: usize = 2_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds; each measures all ways in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Jobs per way and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    jobs: u64,
    /// Kills of the worker, in a run of each way that is not timed; 0 skips it
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Measure the development build: faster to build, and sufficient for a first impression
    #[arg(long)]
    dev: bool,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A way of inserting.
#[derive(Debug, Clone, Copy, Serialize)]
struct Way {
    name: &'static str,
    label: &'static str,
    /// True if the claims are in PostgreSQL, too.
    is_marked: bool,
}

const WAYS: [Way; 4] = [
    Way { name: "one-by-one", label: "one by one, keyed by job id", is_marked: false },
    Way { name: "together", label: "in batches, keyed by job id", is_marked: false },
    Way { name: "one-by-one-marked", label: "one by one, with its mark", is_marked: true },
    Way { name: "together-marked", label: "in batches, with their marks", is_marked: true },
];

/// The parts that all runs share.
struct Lab {
    profile: Profile,
    database: String,
    interrupts: Receiver<Interrupted>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let profile = if options.dev { Profile::Dev } else { Profile::Dist };
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    step("build the queue and the worker", &mut || {
        let examples = ["--example", queue::PROGRAM, "--example", PROGRAM];
        profile.build(&[&["--features", "inserting"], &examples[..]].concat(), &interrupts)
    })?;
    let postgres = on_core(cores::SERVER, || LastingServer::start(Kind::Postgres, "bench-inserting"))?;
    let lab = Lab { profile, database: postgres.url(), interrupts };
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); WAYS.len()];
    for number in 1..=options.rounds {
        for (way, rates) in WAYS.iter().zip(&mut rounds) {
            step(&format!("round {number} of {}: {}", options.rounds, way.label), &mut || {
                rates.push(lab.measure(*way, options.jobs)?);
                Ok(())
            })?;
        }
    }
    for (way, rates) in WAYS.iter().zip(&rounds) {
        if options.kills > 0 {
            let usual = Spread::of(rates.iter().copied()).median;
            step(&format!("{} kills: {}", options.kills, way.label), &mut || {
                lab.kill(*way, options.jobs, options.kills, usual)
            })?;
        }
    }
    let ways = WAYS.into_iter().zip(rounds).map(|(way, rates)| Measured { way, rates }).collect();
    options.output.print(&Report { machine, jobs: options.jobs, kills: options.kills, ways })?;
    Ok(ExitCode::SUCCESS)
}

impl Lab {
    /// Returns the rows per second of a way.
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    fn measure(&self, way: Way, jobs: u64) -> Result<f64> {
        self.ask("empty")?;
        let mut queue = Queue::start_build(self.profile, &self.interrupts)?;
        let worker = self.start(way, &queue.url)?;
        queue.warm_up(WARM_UP)?;
        let took = queue.drain(usize::try_from(jobs)?)?;
        worker::stop(worker, &mut queue, LOG)?;
        self.check_rows(jobs + WARM_UP as u64)?;
        Ok(jobs as f64 / took.as_secs_f64())
    }

    /// Runs a way, and kills its worker several times while it runs at the usual rate.
    fn kill(&self, way: Way, jobs: u64, kills: u32, usual: f64) -> Result<()> {
        self.ask("empty")?;
        let mut queue = Queue::start_build(self.profile, &self.interrupts)?;
        #[allow(clippy::cast_precision_loss, reason = "a pause need not be exact")]
        let pause = Duration::from_secs_f64(jobs as f64 / usual / f64::from(kills + 1));
        let url = queue.url.clone();
        thread::scope(|scope| {
            let killer = scope.spawn(|| {
                let mut worker = self.start(way, &url)?;
                for _ in 0..kills {
                    thread::sleep(pause);
                    worker.kill();
                    worker = self.start(way, &url)?;
                }
                anyhow::Ok(worker)
            });
            queue.drain(usize::try_from(jobs)?)?;
            let worker = killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
            worker::stop(worker, &mut queue, LOG)?;
            self.check_rows(jobs)
        })
    }

    fn start(&self, way: Way, queue_url: &str) -> Result<Process> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(self.program());
        project::forget_aws(forget_settings(&mut command));
        command
            .env("DRUMLINE_QUEUE_URL", queue_url)
            .env("DRUMLINE_CONCURRENCY", CONCURRENCY)
            .env("DRUMLINE_HTTP_ADDR", "off")
            .env("DRUMLINE_STORE_URL", if way.is_marked { &self.database } else { "memory:" })
            .env("BENCH_DATABASE", &self.database)
            .env("BENCH_WAY", way.name)
            .stderr(File::create(folder.join(LOG))?);
        on_core(cores::WORKER, || Process::spawn(PROGRAM, &mut command, &self.interrupts))
    }

    fn program(&self) -> PathBuf {
        self.profile.example(PROGRAM)
    }

    fn check_rows(&self, jobs: u64) -> Result<()> {
        let rows = self.ask("count")?;
        ensure!(rows == format!("{jobs} {jobs}"), "{jobs} jobs made rows, and different ones: {rows}");
        Ok(())
    }

    /// Runs a command of the program about its tables.
    fn ask(&self, command: &str) -> Result<String> {
        let output =
            Command::new(self.program()).arg(command).env("BENCH_DATABASE", &self.database).output()?;
        let text = String::from_utf8(output.stdout).context("the program prints text")?;
        ensure!(output.status.success(), "{PROGRAM} {command}: {text}");
        Ok(text.trim_end().to_owned())
    }
}

#[derive(Debug, Serialize)]
struct Measured {
    way: Way,
    /// The rows per second of each round.
    rates: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    jobs: u64,
    kills: u32,
    ways: Vec<Measured>,
}

impl Report {
    /// Returns the ratios of a batched way to the way before it, by round.
    fn ratio(&self, batched: usize) -> Option<Spread> {
        let (in_batches, single) = (self.ways.get(batched)?, self.ways.get(batched.checked_sub(1)?)?);
        Some(Spread::of(in_batches.rates.iter().zip(&single.rates).map(|(rate, of_single)| rate / of_single)))
    }

    fn table(&self) -> Table {
        let mut table = table();
        table.set_header(["median (least to most)", "rows per second", "of one by one"]);
        for (place, Measured { way, rates }) in self.ways.iter().enumerate() {
            let rate = Spread::of(rates.iter().copied());
            let ratio = if place % 2 == 1 { self.ratio(place) } else { None };
            table.add_row([
                way.label.to_owned(),
                format!("{:.0} ({:.0} to {:.0})", rate.median, rate.min, rate.max),
                ratio.map_or_else(
                    || "1".to_owned(),
                    |times| format!("{:.1} ({:.1} to {:.1})", times.median, times.min, times.max),
                ),
            ]);
        }
        right_align(table)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, jobs, kills, .. } = self;
        writeln!(f, "{machine}, {jobs} jobs a round, concurrency {CONCURRENCY}\n\n{}\n", self.table())?;
        if *kills > 0 {
            writeln!(f, "each row was there once after {kills} kills of each worker")?;
        }
        let is_met = self.ratio(1).is_some_and(|ratio| ratio.median >= GOAL);
        write!(f, "goal of {GOAL:.0} for batches keyed by job id: {}", if is_met { "met" } else { "not met" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_compared_with_rows_one_by_one() {
        let rates = [[2_000.0, 2_200.0], [12_000.0, 11_000.0], [1_000.0, 1_000.0], [1_500.0, 1_500.0]];
        let ways = WAYS.into_iter().zip(rates).map(|(way, rates)| Measured { way, rates: rates.to_vec() });
        let machine = Machine { cores: 2, processor: None };
        let report = Report { machine, jobs: 50_000, kills: 3, ways: ways.collect() };
        let text = report.to_string();
        assert!(text.contains("5.5 (5.0 to 6.0)") && text.contains("1.5 (1.5 to 1.5)"), "{text}");
        assert!(text.ends_with("keyed by job id: met"), "{text}");
    }
}
