//! The parts of the command line that the service provides: its router, and the sample jobs of `dev`.

#[cfg(feature = "dev")]
use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline::Router;
use drumline_consumer::ExitError;
#[cfg(feature = "dev")]
use drumline_runtime::BoxError;
use drumline_runtime::Service;
use tokio::runtime::Handle;

use crate::format::note;

/// The longest time that a command which does not run handlers waits for the router's factory, which may connect to a server
/// that does not answer.
const FACTORY_TIME: Duration = Duration::from_secs(10);

/// Makes the router for a command that does not run handlers.
///
/// # Errors
///
/// Returns the reason why there is none, for the user.
pub(crate) async fn make_router(service: Service, handlers: &Handle) -> Result<Router, String> {
    match tokio::time::timeout(FACTORY_TIME, service.router(handlers)).await {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the router's factory has not ended within {FACTORY_TIME:?}")),
    }
}

/// Returns the router for a command that only reads the values of its job types. If it cannot be made, prints the reason and
/// returns `None`.
///
/// # Errors
///
/// Returns an error if no host could run its handlers.
pub(crate) async fn router_if_made(service: Service, handlers: &Handle) -> Result<Option<Router>, ExitError> {
    match make_router(service, handlers).await {
        Ok(router) => {
            router.check().map_err(|error| ExitError::usage(error.to_string()))?;
            Ok(Some(router))
        }
        Err(problems) => {
            note(&format!("the values of job types are left out, since there are no handlers: {problems}"));
            Ok(None)
        }
    }
}

/// Prepares a folder for sample jobs: makes the router and the jobs.
#[cfg(feature = "dev")]
pub(crate) type MakeDev = Box<dyn FnOnce(&Path) -> Result<(Router, Vec<DevJob>), BoxError> + Send>;

/// Returns the variables for a function that uses the folder of `dev`.
#[cfg(all(feature = "dev", feature = "function"))]
pub(crate) type FunctionVariables = Box<dyn FnOnce(&std::path::Path) -> Vec<(String, String)> + Send>;

/// A sample job of `dev`.
#[cfg(feature = "dev")]
#[derive(Debug, Clone)]
pub struct DevJob {
    /// The subject, in a few words.
    pub label: String,
    /// The message body.
    pub body: String,
    /// The files that exist after the job is done.
    pub outputs: Vec<PathBuf>,
}

/// The parts of `dev` that a service provides.
#[cfg(feature = "dev")]
#[derive(Default)]
pub(crate) struct OwnDev {
    pub(crate) prepare: Option<MakeDev>,
    pub(crate) examples: Vec<DevExample>,
    #[cfg(feature = "function")]
    pub(crate) variables: Option<FunctionVariables>,
}

/// A job that `dev` suggests to send by hand.
#[cfg(feature = "dev")]
#[derive(Debug, Clone)]
pub(crate) struct DevExample {
    pub(crate) job_type: String,
    /// The payloads as JSON.
    pub(crate) payloads: [String; 2],
}
