//! `cargo xtask bench`: what the runtime costs beside a bare loop over AWS's SDK. See `docs/benchmark.md`.
//!
//! Each worker in turn, round by round, drains the same queue: a server in a process of its own on one core, the
//! worker on another. Only Linux reports what is measured here.

use std::process::ExitCode;

use anyhow::Result;
use xtask::interrupt;

use crate::machine::Machine;
use crate::output::Output;
use crate::report::Report;
use crate::{cores, idle, latency, rounds, worker};

/// What `--quick` does: enough to see that everything runs, too little for figures worth keeping.
const QUICK_ROUNDS: usize = 2;
const QUICK_MESSAGES: usize = 10_000;

#[derive(clap::Args)]
pub(crate) struct Options {
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
            warm_up: worker::WARM_UP,
            messages: options.messages as usize,
            idle_secs: options.idle_secs,
            latency: true,
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);

    step("build the server and the workers", &mut || worker::build(&interrupts))?;
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
