//! The exit status of a command line that clap does not run.

use std::process::ExitCode;

/// `EX_USAGE`: bad configuration or usage.
const USAGE: u8 = 64;

/// Prints the answer or the error that clap stopped at. Help and version are answers; anything else is bad usage.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    // If even that cannot be printed, the status has to do.
    let _ = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}
