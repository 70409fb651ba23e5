//! The exit status of a command line that clap rejects or answers itself.

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::output::output_error;

/// `EX_USAGE`: bad configuration or usage.
const USAGE: u8 = 64;

/// Prints clap's response. Help and version are successful responses; all others are usage errors.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => ExitCode::SUCCESS,
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error)) => output_error(&error).report(),
        // If even this cannot be printed, only the exit status is left.
        _ => ExitCode::from(USAGE),
    }
}
