//! `cargo xtask deps`: what the crates may depend on.
//!
//! Done here, over `cargo metadata`, and not with cargo-deny: installing that costs a fresh clone as much as all
//! other checks together (six minutes of processor time), and of its checks only licences, sources and a few bans apply
//! here; an advisory database needs a network that a check must not depend on.

mod packages;
mod purity;

use std::process::ExitCode;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::project;

pub(crate) fn run() -> Result<ExitCode> {
    let metadata =
        MetadataCommand::new().current_dir(project::root()).exec().context("cargo metadata failed")?;
    let mut violations = packages::violations(&metadata);
    for rule in purity::RULES {
        violations.extend(rule.check()?);
    }
    if violations.is_empty() {
        println!(
            "{} packages: licences, sources and bans hold; {} pure crates are pure",
            metadata.packages.len(),
            purity::RULES.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    for violation in &violations {
        println!("{violation}");
    }
    println!("{} violations", violations.len());
    Ok(ExitCode::FAILURE)
}
