//! `cargo xtask bench`: measures the cost of the runtime in comparison with a bare loop over AWS's SDK. See
//! `docs/benchmark.md`.
//!
//! In each round, each worker in turn drains the same queue: a server in a separate process on one core, the worker on another.
//! Only Linux reports the measured figures.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use xtask::interrupt;

use crate::machine::Machine;
use crate::output::Output;
use crate::report::Report;
use crate::rounds::Load;
use crate::{cores, idle, in_hand, latency, rounds, start_up, worker};

/// The rounds of `--quick`: enough to check that everything runs, too few for useful figures.
const QUICK_ROUNDS: usize = 2;
const QUICK_MESSAGES: usize = 10_000;

/// The number of messages of a warm-up if requests are delayed.
const DELAYED_WARM_UP: usize = 10_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The number of times each worker drains the queue
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Messages per worker and round
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// The number of seconds for which the idle consumer is observed; 0 skips it
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3600))]
    idle_secs: u64,
    /// The number of slow jobs that are in hand at once, for two minutes; 0 skips them
    #[arg(long, value_name = "JOBS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    in_hand: u32,
    /// Delay each request by this many milliseconds, like the distance to SQS, and measure only the rounds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    delay_ms: u64,
    /// Run only two rounds of 10,000 messages, to check that everything works
    #[arg(long, conflicts_with_all = ["rounds", "messages", "idle_secs", "in_hand"])]
    quick: bool,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The extent of the measurement.
struct Plan {
    rounds: usize,
    load: Load,
    /// True if pick-up and start-up are measured.
    latencies: bool,
    idle_secs: u64,
    in_hand: u32,
}

impl Plan {
    fn of(options: &Options) -> Self {
        let delay = Duration::from_millis(options.delay_ms);
        if options.quick {
            let load = Load { warm_up: 0, messages: QUICK_MESSAGES, delay };
            return Self { rounds: QUICK_ROUNDS, load, latencies: false, idle_secs: 0, in_hand: 0 };
        }
        let (rounds, messages) = (options.rounds as usize, options.messages as usize);
        if delay.is_zero() {
            let load = Load { warm_up: worker::WARM_UP, messages, delay };
            let (idle_secs, in_hand) = (options.idle_secs, options.in_hand);
            return Self { rounds, load, latencies: true, idle_secs, in_hand };
        }
        // Only the rate counts, for which only the connections must be open; a full warm-up would take most of the time.
        let load = Load { warm_up: DELAYED_WARM_UP, messages, delay };
        Self { rounds, load, latencies: false, idle_secs: 0, in_hand: 0 }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this()?;
    cores::check(&machine)?;
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);

    step("build the server and the workers", &mut || worker::build(&interrupts))?;
    let plan = Plan::of(options);
    let mut report = Report::new(machine, plan.load.messages, options.delay_ms);
    for round in 1..=plan.rounds {
        step(&format!("round {round} of {}", plan.rounds), &mut || {
            report.rounds.push(rounds::round(&plan.load, &interrupts)?);
            Ok(())
        })?;
    }
    if plan.latencies {
        step("pick-up latency", &mut || {
            report.latency = latency::measure(&interrupts)?;
            Ok(())
        })?;
        step("start to first receive", &mut || {
            report.start_up = start_up::measure(&interrupts)?;
            Ok(())
        })?;
    }
    if plan.idle_secs > 0 {
        step(&format!("idle for {} s", plan.idle_secs), &mut || {
            report.idle = Some(idle::measure(plan.idle_secs, &interrupts)?);
            Ok(())
        })?;
    }
    if plan.in_hand > 0 {
        step(&format!("{} jobs in hand", plan.in_hand), &mut || {
            report.in_hand = Some(in_hand::measure(plan.in_hand, &interrupts)?);
            Ok(())
        })?;
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}
