//! The formats of a report.

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;
use xtask::progress::phase;

/// The format of a report.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    Table,
    /// As JSON on standard output; progress goes to standard error
    Json,
}

impl Output {
    /// Runs a part of the work and reports its progress, but not on a standard output that a program reads.
    pub(crate) fn step(self, name: &str, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        match self {
            Self::Table => phase(name, work),
            Self::Json => work(),
        }
    }

    pub(crate) fn print(self, report: &(impl Display + Serialize)) -> Result<()> {
        match self {
            Self::Table => println!("\n{report}"),
            Self::Json => println!("{}", serde_json::to_string_pretty(report)?),
        }
        Ok(())
    }
}
