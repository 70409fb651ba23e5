//! `cargo xtask bench`: what the runtime costs beside a bare loop over AWS's SDK. See `docs/benchmark.md`.
//!
//! Each worker in turn, round by round, drains the same queue: a server in a process of its own on one core, the
//! worker on another. Only Linux tells what is measured here.

mod against;
mod faults;
mod figures;
pub(crate) mod http;
mod idle;
mod lambda;
mod latency;
mod queue;
mod report;
mod rounds;
mod soak;
mod usage;
mod worker;

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use crate::bench::report::{Machine, Report};
use crate::interrupt::{self, Interrupted};
use crate::process::Process;
use crate::progress::phase;
use crate::project;

/// The server has a core to itself, and so has the worker; whoever waits for both shares the server's.
const SERVER_CORE: usize = 0;
const WORKER_CORE: usize = 1;

/// What a worker drains before it is measured: more jobs than the memory store remembers (100,000). From then on it is as it
/// will be for as long as it lives, its memory grown and its connections open.
const WARM_UP: usize = 110_000;

/// What `--quick` does: enough to see that everything runs, too little for figures worth keeping.
const QUICK_ROUNDS: usize = 2;
const QUICK_MESSAGES: usize = 10_000;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// How often each worker drains the queue
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Messages a worker and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// How long the idle consumer is watched, in seconds; 0 leaves it out
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3600))]
    idle_secs: u64,
    /// Two rounds of 10,000 messages and nothing else: does it run?
    #[arg(long, conflicts_with_all = ["rounds", "messages", "idle_secs"])]
    quick: bool,
    /// What is printed at the end
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What else can be measured.
#[derive(clap::Subcommand)]
enum Other {
    /// Measure what the Lambda function costs beside one that only decodes the event
    Lambda(lambda::Options),
    /// Measure this build of the consumer beside another one, such as an earlier commit's
    Against(against::Options),
    /// Measure a worker under faults: of SQS, of the store, of dependencies, of processes
    Faults(faults::Options),
    /// Run workers for hours under alternating faults, and watch their memory and descriptors
    Soak(soak::Options),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    /// On standard output alone; progress goes elsewhere than that
    Json,
}

impl Output {
    /// Does a part of the work, and tells of it. Nothing but the report may stand on standard output where a program reads it.
    fn step(self, name: &str, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        match self {
            Self::Table => phase(name, work),
            Self::Json => work(),
        }
    }

    fn print(self, report: &(impl Display + Serialize)) -> Result<()> {
        match self {
            Self::Table => println!("\n{report}"),
            Self::Json => println!("{}", serde_json::to_string_pretty(report)?),
        }
        Ok(())
    }
}

/// How much is measured.
struct Plan {
    rounds: usize,
    warm_up: usize,
    messages: usize,
    idle_secs: u64,
    latency: bool,
}

impl Plan {
    fn of(options: &Options) -> Self {
        if options.quick {
            let (rounds, messages) = (QUICK_ROUNDS, QUICK_MESSAGES);
            return Self { rounds, warm_up: 0, messages, idle_secs: 0, latency: false };
        }
        Self {
            rounds: options.rounds as usize,
            warm_up: WARM_UP,
            messages: options.messages as usize,
            idle_secs: options.idle_secs,
            latency: true,
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match &options.other {
        Some(Other::Lambda(options)) => return lambda::run(options),
        Some(Other::Against(options)) => return against::run(options),
        Some(Other::Faults(options)) => return faults::run(options),
        Some(Other::Soak(options)) => return soak::run(options),
        None => {}
    }
    let machine = Machine::this()?;
    needs_two_cores(&machine)?;
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);

    step("build the server and the workers", &mut || build(&interrupts))?;
    let plan = Plan::of(options);
    let mut report = Report::new(machine, plan.messages);
    for round in 1..=plan.rounds {
        step(&format!("round {round} of {}", plan.rounds), &mut || {
            report.rounds.push(rounds::round(plan.warm_up, plan.messages, &interrupts)?);
            Ok(())
        })?;
    }
    if plan.latency {
        step("pick-up latency", &mut || {
            report.latency = latency::measure(&interrupts)?;
            Ok(())
        })?;
    }
    if plan.idle_secs > 0 {
        step(&format!("idle for {} s", plan.idle_secs), &mut || {
            report.idle = Some(idle::measure(plan.idle_secs, &interrupts)?);
            Ok(())
        })?;
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

fn needs_two_cores(machine: &Machine) -> Result<()> {
    ensure!(machine.cores > WORKER_CORE, "the server and the worker need a core each; this machine has one");
    Ok(())
}

/// All three are examples of one crate, and built without this repository's jobs, which nothing here runs.
fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let mut cargo = project::cargo();
    cargo.args(["build", "--release", "--quiet", "--package", "drumline-consumer", "--no-default-features"]);
    for program in [queue::PROGRAM, worker::NOOP, worker::BARE_LOOP] {
        cargo.args(["--example", program]);
    }
    let status = Process::spawn("cargo build", &mut cargo, interrupts)?.wait()?;
    ensure!(status.success(), "cargo build failed with {status}");
    Ok(())
}
