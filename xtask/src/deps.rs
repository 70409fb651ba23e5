//! `cargo xtask deps`: checks the packages on which the crates depend, and the dependencies between their files.
//!
//! This uses `cargo metadata` instead of cargo-deny: installing that would cost a new clone as much as all other checks
//! together (six minutes of processor time), and only its checks of licences, sources and a few bans apply here. Advisories are
//! requested if the network allows it.

mod advisories;
mod arrows;
mod packages;
mod purity;

use std::process::ExitCode;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use advisories::Advisories;
use xtask::project;

pub(crate) fn run() -> Result<ExitCode> {
    let metadata =
        MetadataCommand::new().current_dir(project::root()).exec().context("cargo metadata failed")?;
    let mut violations = packages::violations(&metadata);
    violations.extend(arrows::violations(&metadata)?);
    for rule in purity::RULES {
        violations.extend(rule.check()?);
    }
    let checked = match advisories::check(&metadata) {
        Advisories::Known(found) => {
            violations.extend(found);
            "advisories were checked".to_owned()
        }
        Advisories::NotChecked(reason) => format!("ADVISORIES WERE NOT CHECKED: {reason}"),
    };
    println!("{checked}");
    if violations.is_empty() {
        println!(
            "{} packages: licences, sources and bans hold; so do {} rules about dependencies; no circles of files",
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
