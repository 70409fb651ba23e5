//! The forms of a report.

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;
use xtask::progress::phase;

/// The form in which a report is printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    Table,
    /// On standard output alone; progress goes elsewhere than that
    Json,
}

impl Output {
    /// Does a part of the work and reports progress, but not on a standard output that a program reads.
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
