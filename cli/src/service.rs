//! The parts of a command line that belong to the service: its router, and the jobs by which `dev` shows something.

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

/// How long a command that only looks at the router waits for its factory, which may connect to something that does not answer.
const FACTORY_TIME: Duration = Duration::from_secs(10);

/// Makes the router for a command that runs no handler.
///
/// # Errors
/// The reason why there is none, in words for the user.
pub(crate) async fn make_router(service: Service, handlers: &Handle) -> Result<Router, String> {
    match tokio::time::timeout(FACTORY_TIME, service.router(handlers)).await {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the router's factory has not ended within {FACTORY_TIME:?}")),
    }
}

/// Returns the router for a command that only reads the values of its job types. If it cannot be made, says so and returns `None`.
///
/// # Errors
/// If no host could run its handlers.
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

/// Prepares a folder for trying things out: its router and its jobs.
#[cfg(feature = "dev")]
pub(crate) type MakeDev = Box<dyn FnOnce(&Path) -> Result<(Router, Vec<DevJob>), BoxError> + Send>;

/// Returns the variables with which a function works in the folder of `dev`.
#[cfg(all(feature = "dev", feature = "function"))]
pub(crate) type FunctionVariables = Box<dyn FnOnce(&std::path::Path) -> Vec<(String, String)> + Send>;

/// A job that `dev` sends to show something.
#[cfg(feature = "dev")]
#[derive(Debug, Clone)]
pub struct DevJob {
    /// The subject, in a few words.
    pub label: String,
    /// The message body.
    pub body: String,
    /// The files that are there once it is done.
    pub outputs: Vec<PathBuf>,
}

/// The parts of `dev` that a service gives it.
#[cfg(feature = "dev")]
#[derive(Default)]
pub(crate) struct OwnDev {
    pub(crate) prepare: Option<MakeDev>,
    pub(crate) examples: Vec<DevExample>,
    #[cfg(feature = "function")]
    pub(crate) variables: Option<FunctionVariables>,
}

/// A job that `dev` advises to send by hand.
#[cfg(feature = "dev")]
#[derive(Debug, Clone)]
pub(crate) struct DevExample {
    pub(crate) job_type: String,
    /// As JSON.
    pub(crate) payloads: [String; 2],
}
