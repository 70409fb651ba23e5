//! The program around a function: settings, logs, and the conversation with Lambda.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use drumline::Router;
use drumline_runtime::aws::check_environment;
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{Environment, forward_to, redacted, runtimes, variable};
use http::{Method, Request};
use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::{Client, build_request};
use tracing::warn;

use crate::conversation::{converse, leave_out_panics_of_the_library};
use crate::function::{Function, InvocationError};

/// `EX_USAGE`: bad configuration.
const USAGE: u8 = 64;

/// Where Lambda is told why a function cannot start. See
/// [Initialization error](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror).
const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";

/// A program around a router, for Lambda to start.
pub struct App {
    router: Box<dyn FnOnce() -> Result<Router, String>>,
    known: Vec<&'static str>,
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        Self { error_type: error.kind.to_owned(), error_message: error.text }
    }
}

impl App {
    /// A program with the handlers that `router` makes. An error is a wrong setting of theirs, in words.
    pub fn new(router: impl FnOnce() -> Result<Router, String> + 'static) -> Self {
        Self { router: Box::new(router), known: Vec::new() }
    }

    /// Declares `DRUMLINE_` variables that the handlers read. Other names are warnings in the log, with the name
    /// that was meant if they resemble a known one.
    pub fn known_variables(mut self, names: &[&'static str]) -> Self {
        self.known.extend(names);
        self
    }

    /// Handles events until Lambda ends the process.
    pub fn main(self) -> ExitCode {
        let (io, handlers) = match runtimes() {
            Ok(runtimes) => runtimes,
            Err(error) => return eprint_error(&error.to_string(), 1),
        };
        if variable("AWS_LAMBDA_RUNTIME_API").is_none() {
            return eprint_error(
                "AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda, as a function's bootstrap. \
                 To consume a queue elsewhere use `drumline run`",
                USAGE,
            );
        }
        let settings = match Environment::of_process().declare(&self.known).settings_of_function() {
            Ok(settings) => settings,
            Err(problems) => {
                return io.block_on(refuse("Settings", &problems.with_those_of(self.router)));
            }
        };
        logging::init(settings.log_format, &settings.log, Spans::All);
        leave_out_panics_of_the_library();
        // A function meets its queues in its batches: what no queue could be reached with is found before.
        if let Err(problem) = check_environment() {
            return io.block_on(refuse("Settings", &problem));
        }
        let router = match &settings.forward_to {
            Some(target) => forward_to(target, &settings.forward)
                .map(|forward| forward.router)
                .map_err(|error| format!("DRUMLINE_FORWARD_TO: {error}")),
            None => (self.router)(),
        };
        let checked = router.and_then(|router| match router.check() {
            Ok(()) => Ok(router),
            Err(error) => Err(error.to_string()),
        });
        let router = match checked {
            Ok(router) => router,
            Err(problems) => {
                let misspelt = settings.unknown_variables.iter().filter(|variable| variable.meant.is_some());
                let lines = misspelt.map(|variable| format!("\n  {variable}"));
                let text = redacted(&problems).into_owned() + &lines.collect::<String>();
                return io.block_on(refuse("Settings", &text));
            }
        };
        let function = Arc::new(Function::new(settings, router, handlers.handle().clone()));
        let result = io.block_on(converse(function));
        handlers.shutdown_background();
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => eprint_error(&text, 1),
        }
    }
}

/// Tells Lambda, and whoever reads the log, why the function cannot start.
async fn refuse(kind: &str, text: &str) -> ExitCode {
    if let Err(error) = post_init_error(kind, text).await {
        warn!(error, "Lambda could not be told");
    }
    eprint_error(text, USAGE)
}

async fn post_init_error(kind: &str, text: &str) -> Result<(), String> {
    let body = serde_json::json!({ "errorType": kind, "errorMessage": text }).to_string();
    let request: Request<_> = build_request()
        .method(Method::POST)
        .uri(INIT_ERROR)
        .header("lambda-runtime-function-error-type", kind)
        .body(Bytes::from(body).into())
        .map_err(|error| error.to_string())?;
    let client = Client::builder().build().map_err(|error| error.to_string())?;
    client.call(request).await.map_err(|error| error.to_string())?;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "the last word of a program whose log may not be set up")]
fn eprint_error(text: &str, status: u8) -> ExitCode {
    eprintln!("drumline-lambda: {text}");
    ExitCode::from(status)
}
