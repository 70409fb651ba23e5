//! The exit status of a tool.

use std::process::ExitCode;

use anyhow::Result;

use crate::interrupt::Interrupted;

/// Returns the status of a command that has ended, and prints the error that ended it.
pub fn of(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
            println!("{interrupted}");
            // 128 + the signal's number is how shells report a command that a signal ended.
            return ExitCode::from(128 + interrupted.signal);
        }
        println!("error: {error:#}");
        ExitCode::FAILURE
    })
}
