//! `cargo xtask bench faults`: measures a worker under faults, and compares it with the ideal. See `docs/benchmark.md`.
//!
//! Each case has its own queue server, workers and stores, and results in rows. A missed goal is not an error unless requested.

mod cases;
pub(super) mod effects;
mod impostor;
pub(super) mod interruption;
pub(super) mod lab;
mod progress;
pub(super) mod queue;
mod row;
mod target;
pub(super) mod worker;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use self::cases::Case;
use self::lab::Lab;
use self::progress::say;
use self::row::Report;
use crate::machine::Machine;

#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Options {
    /// The cases to measure, see --list. Default: all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// List the cases without measuring
    #[arg(long)]
    list: bool,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
    /// Make a missed goal an error
    #[arg(long)]
    check: bool,
    /// Measure the development build: faster to build, and sufficient for a first impression
    #[arg(long)]
    dev: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        for case in &cases::ALL {
            println!("{:12} {}", case.name, case.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cases = chosen(&options.only)?;
    let lab = Lab::prepare(options.dev)?;
    let mut report = Report::new(Machine::this()?, options.dev);
    for case in cases {
        say(&format!("==> {}: {}", case.name, case.about));
        let started = Instant::now();
        let measured = (case.measure)(&lab);
        lab.check()?;
        match measured {
            Ok(rows) => report.add(case.name, rows),
            Err(error) => report.add_failure(case.name, &error),
        }
        say(&format!("    {}: {:.1} s", case.name, started.elapsed().as_secs_f64()));
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    let failed = report.has_failures() || (options.check && report.misses() > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(cases::ALL.iter().collect());
    }
    if let Some(unknown) = names.iter().find(|name| cases::ALL.iter().all(|case| case.name != **name)) {
        bail!("there is no case `{unknown}`; --list names them");
    }
    Ok(cases::ALL.iter().filter(|case| names.iter().any(|name| name == case.name)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn cases_are_chosen_by_name_and_unknown_names_are_refused() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(&only).map(|cases| cases.iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), cases::ALL.len());
        assert_eq!(names(&["lock", "receives"]).unwrap(), ["receives", "lock"]);
        assert!(names(&["locks"]).unwrap_err().to_string().contains("locks"));
    }
}
