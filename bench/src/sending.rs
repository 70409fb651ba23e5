//! `cargo xtask bench sending`: measures the cost of sending, and how long messages wait for others to share their request. See
//! `docs/benchmark.md`.
//!
//! Each way of sending has its own process in turn on one core, and a new queue on the other.

mod load;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use crossbeam_channel::Receiver;

use self::load::{Load, Way, measure};
use self::report::{Report, Steady};
use crate::machine::Machine;
use crate::output::Output;
use crate::programs::Profile;
use crate::{cores, queue};
use xtask::interrupt::{self, Interrupted};

/// The number of callers in the goal.
const CALLERS: u64 = 64;

/// The lingers at which a steady load is sent. At 1,000 messages a second, ten messages take 10 ms to arrive on average.
const LINGERS_MS: [u64; 4] = [5, 10, 15, 20];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The number of times each way is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Messages per way and round, sent as fast as possible
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    messages: u64,
    /// Messages per second of the steady load
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rate: u32,
    /// The duration of each steady load
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    steady_secs: u64,
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
    let step = |name: &str, work: &mut dyn FnMut() -> Result<()>| options.output.step(name, work);

    step("build the server and the sender", &mut || build(profile, &interrupts))?;
    let mut report = Report::new(machine, options.dev, options.messages, options.rate, CALLERS);
    for round in 1..=options.rounds {
        step(&format!("round {round} of {}", options.rounds), &mut || {
            let load = |way| Load::full(way, options.messages, CALLERS);
            let round = Way::ALL.map(|way| Ok((way, measure(profile, &load(way), &interrupts)?)));
            report.rounds.push(round.into_iter().collect::<Result<_>>()?);
            Ok(())
        })?;
    }
    let lingers = LINGERS_MS.map(|linger_ms| (Way::Sender, Some(linger_ms)));
    for (way, linger_ms) in [(Way::OneByOne, None)].into_iter().chain(lingers) {
        step(&format!("{} at {} messages/s", way.label(), options.rate), &mut || {
            let load = Load::steady(way, options.rate, options.steady_secs, CALLERS, linger_ms);
            let measured = measure(profile, &load, &interrupts)?;
            report.steady.push(Steady::of(way, linger_ms, &measured));
            Ok(())
        })?;
    }
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

fn build(profile: Profile, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let examples = ["--example", queue::PROGRAM, "--example", load::PROGRAM];
    profile.build(&[&["--features", "sending"], &examples[..]].concat(), interrupts)
}
