//! `cargo xtask bench flow`: shows how queues share the slots of a process. It is a simulation on virtual time, with the real
//! ledgers and a model of SQS; the same seed results in the same figures. See `docs/flow.md`.

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
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let report = Report::of(&scenarios::all(), options.seed)?;
    options.output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}
