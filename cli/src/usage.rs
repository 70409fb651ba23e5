//! The exit status of a command line that clap does not run.

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::output::output_error;

/// `EX_USAGE`: bad configuration or usage.
const USAGE: u8 = 64;

/// Prints the answer or the error that clap stopped at. Help and version are answers; anything else is bad usage.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => ExitCode::SUCCESS,
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error)) => output_error(&error).report(),
        // If even that cannot be printed, the status has to do.
        _ => ExitCode::from(USAGE),
    }
}
