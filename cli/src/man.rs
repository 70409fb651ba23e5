//! `drumline man`: prints or writes the help of all commands as manual pages.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_mangen::{Man, generate_to};
use drumline_consumer::ExitError;

use crate::output::print;

/// Prints the manual page, or writes all pages into a folder
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} man | man -l -
  {program} man ~/.local/share/man/man1

Exit status: 0 ok, 1 the pages cannot be written, 64 bad usage.")]
pub(crate) struct ManArgs {
    /// The folder of the pages; it is created if it is missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes the pages of this command line.
pub(crate) fn man(args: &ManArgs, command: Command) -> Result<ExitCode, ExitError> {
    if let Some(dir) = &args.dir {
        let written = std::fs::create_dir_all(dir).and_then(|()| generate_to(command, dir));
        written.map_err(|error| ExitError::other(format!("{}: {error}", dir.display())))?;
    } else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        print(|out| out.write_all(&page))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_command_has_a_page_under_the_programs_name() {
        let dir = tempfile::tempdir().unwrap();
        let command = Command::new("orders")
            .subcommand(Command::new("jobs").subcommand(Command::new("show").about("Shows a job")));
        let args = ManArgs { dir: Some(dir.path().join("man1")) };
        man(&args, command).unwrap();
        let page = std::fs::read_to_string(dir.path().join("man1/orders-jobs-show.1")).unwrap();
        assert!(page.contains("Shows a job"), "{page}");
        assert!(dir.path().join("man1/orders.1").exists());
    }
}
