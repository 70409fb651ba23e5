//! `cargo xtask bench`: runs the crate `drumline-bench`, which is built for it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use xtask::project;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// `cargo xtask bench --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Replaces this process by the benchmark, which then receives the terminal's signals and decides the exit status.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Without the programs to measure: the benchmark builds those itself, optimised.
    let mut cargo = project::cargo();
    cargo.args(["run", "--quiet", "--package", "drumline-bench", "--no-default-features"]);
    cargo.args(["--features", "harness", "--"]);
    Err(cargo.args(&options.arguments).exec()).context("cannot start cargo")
}
