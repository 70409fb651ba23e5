//! `drumline new`: creates a service.

mod name;
mod origin;
mod template;
mod write;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use drumline_consumer::ExitError;

use crate::output::print;
use name::ServiceName;
use origin::Origin;
use write::write;

/// Creates a service: two jobs, a worker, a Lambda function, tests, CI, an image, and parameters for the templates
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The folder NAME must be empty or must not exist: the command overwrites no files.

Examples:
  {program} new orders
  {program} new orders --path ../drumline     (the crates of a checkout, for work on Drumline itself)

Exit status: 0 created, 64 the name, the folder or the checkout is not valid, 1 a file could not be written.")]
pub(crate) struct NewArgs {
    /// The name of the service, its crate and its queue: lower-case letters, digits and hyphens
    name: String,
    /// Depend on the crates of this checkout of Drumline instead of those of the registry
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

pub(crate) fn new(args: &NewArgs) -> Result<ExitCode, ExitError> {
    let name = ServiceName::parse(&args.name).map_err(ExitError::usage)?;
    let origin = args.path.as_deref().map_or(Ok(Origin::Registry), Origin::checkout)?;
    let folder = Path::new(name.as_str());
    write(folder, &template::files(&name, &origin, folder)?)?;
    print(|out| writeln!(out, "{}", next_steps(&name)))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a text about the new files and the next three commands.
fn next_steps(name: &ServiceName) -> String {
    format!(
        "Made the service {name} in the folder {name}; AGENTS.md has the rules for its handlers. Next:\n  \
         cd {name}\n  \
         cargo test          # its jobs, without a queue\n  \
         cargo run -- dev    # a queue, its DLQ and the worker on this machine; prints how to send a job"
    )
}
