//! `cargo xtask bench flow`: how queues share the slots of a process. A simulation on virtual time, with the ledgers themselves and a
//! model of SQS; the same seed gives the same figures. See `docs/flow.md`.

mod load;
mod model;
mod polled;
mod pooled;
mod report;
mod scenarios;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::Result;

use self::report::Report;
use crate::output::Output;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The seed of the lengths of jobs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed at the end
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let report = Report::of(&scenarios::all(), options.seed)?;
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}
