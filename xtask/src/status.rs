//! The exit status of a tool.

use std::process::ExitCode;

use anyhow::Result;

use crate::interrupt::Interrupted;

/// Returns the exit status of a finished command, and prints its error.
pub fn of(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
            println!("{interrupted}");
            // Shells report 128 plus the signal's number for a command that a signal ended.
            return ExitCode::from(128 + interrupted.signal);
        }
        println!("error: {error:#}");
        ExitCode::FAILURE
    })
}
