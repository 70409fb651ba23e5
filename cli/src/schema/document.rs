//! The documents of `drumline schema`: generates them from the program's handlers, reads and writes them.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use drumline_consumer::ExitError;
use drumline_contract::Contract;
use drumline_runtime::{Service, runtimes};

use crate::output::print;
use crate::service::make_router;

/// The argument that means standard input.
const STDIN: &str = "-";

/// Makes the program's router and returns the contract of its handlers, or only of `job_type`.
///
/// # Errors
///
/// Returns an error if there are no handlers, none of the type, or an invalid schema.
pub(super) fn contract_of(service: Service, job_type: Option<&str>) -> Result<Contract, ExitError> {
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    let router = router
        .map_err(|problem| ExitError::usage(format!("there are no handlers to describe: {problem}")))?;
    router.check().map_err(|error| ExitError::usage(error.to_string()))?;
    let contract = Contract::of(&router);
    contract.check().map_err(|error| ExitError::usage(error.to_string()))?;
    match job_type {
        None => Ok(contract),
        Some(name) => contract.only(name).ok_or_else(|| {
            let known: Vec<&str> = contract.types().iter().map(|of| &*of.name).collect();
            ExitError::usage(format!(
                "there is no handler for type {name:?}; there are handlers for {}",
                known.join(", ")
            ))
        }),
    }
}

/// Returns true for `-`, which stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

/// Reads a contract from a file or from standard input.
///
/// # Errors
///
/// Returns an error if it cannot be read, or is not a contract.
pub(super) fn read(path: &Path) -> Result<Contract, ExitError> {
    let name = if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() };
    let json = if is_stdin(path) {
        let mut json = Vec::new();
        io::stdin().lock().read_to_end(&mut json).map(|_| json)
    } else {
        std::fs::read(path)
    };
    let json = json.map_err(|error| ExitError::usage(format!("{name}: {error}")))?;
    Contract::parse(&json).map_err(|error| ExitError::usage(format!("{name}: {error}")))
}

/// Writes a document to a file, or to standard output.
pub(super) fn write_document(text: &str, output: Option<&Path>) -> Result<(), ExitError> {
    match output {
        None => print(|out| out.write_all(text.as_bytes())),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| ExitError::other(format!("{}: {error}", path.display()))),
    }
}
