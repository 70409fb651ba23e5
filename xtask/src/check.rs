//! `cargo xtask check`: runs the checks of CI, which are in `.ci/run`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use xtask::project;

pub(crate) fn run() -> Result<ExitCode> {
    let script = project::root().join(".ci/run");
    let status = Command::new("bash").arg(&script).status().with_context(|| script.display().to_string())?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
