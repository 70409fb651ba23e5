//! `cargo xtask bench lambda`: measures the cost of the function in comparison with the minimum for the Lambda runtime, which
//! is to decode the event. See `docs/benchmark.md`.

mod event;
mod function;
mod report;
mod runtime_api;

use std::process::ExitCode;

use anyhow::Result;
use crossbeam_channel::Receiver;

use self::function::{Function, Kind};
use self::report::{Report, Round};
use crate::machine::Machine;
use crate::output::Output;
use xtask::interrupt::{self, Interrupted};

/// The number of invocations before the measurement: caches are filled, and the first connection is made.
const WARM_UP: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The number of times each function is started and measured, in turn
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=200))]
    rounds: u32,
    /// Batches per function and round
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    batches: u32,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);
    step("build the functions", &mut || build(&interrupts))?;
    let mut report = Report::new(Machine::this()?, options.batches as usize);
    step(&format!("{} rounds of {} batches", options.rounds, options.batches), &mut || {
        for _ in 0..options.rounds {
            for kind in Kind::ALL {
                report.add(kind, measure(kind, options.batches as usize, &interrupts)?);
            }
        }
        Ok(())
    })?;
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures one life of a function: its start, and its batches one after the other.
fn measure(kind: Kind, batches: usize, interrupts: &Receiver<Interrupted>) -> Result<Round> {
    let mut function = Function::start(kind, interrupts)?;
    let init_ms = function.first_next()?.as_secs_f64() * 1e3;
    // For the whole binary with all jobs of this repository, only the start is of interest.
    let mut round = Round { init_ms, ..Round::default() };
    if kind != Kind::WithJobs {
        let event = event::event();
        for _ in 0..WARM_UP {
            function.invoke(&event)?;
        }
        let before = function.processor_time()?;
        for _ in 0..batches {
            let took = function.invoke(&event)?;
            round.latencies_us.push(took.as_secs_f64() * 1e6);
        }
        let cpu = function.processor_time()?.saturating_sub(before);
        round.cpu_us_per_batch = Some(cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(batches)?));
    }
    round.peak_memory_mib = function.peak_memory_mib()?;
    Ok(round)
}

/// Builds the functions with the profile with which they are packaged.
fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let own = [
        "--features",
        "drumline-bench/function",
        "--example",
        function::MINIMAL,
        "--example",
        function::NOOP,
    ];
    let with_jobs = [
        "--package",
        "drumline-lambda",
        "--features",
        "drumline-lambda/default",
        "--bin",
        function::WITH_JOBS,
    ];
    function::PROFILE.build(&[&own[..], &with_jobs].concat(), interrupts)
}
