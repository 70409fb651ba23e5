//! The program around a function: settings, logs, and the conversation with Lambda.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drumline::Router;
use drumline_runtime::Store;
use drumline_runtime::aws::check_environment;
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{
    Environment, RouterFactory, Service, Settings, Shutdown, ShutdownHook, forward_to, program, redacted,
    runtimes, variable,
};
use http::{Method, Request};
use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::{Client, build_request};
use tokio::runtime::Handle;
use tracing::{error, warn};

use crate::conversation::{converse, leave_out_panics_of_the_library};
use crate::function::{Function, InvocationError};

/// `EX_USAGE`: invalid configuration.
const USAGE: u8 = 64;

/// The path that reports to Lambda why a function cannot start. See
/// [Initialization error](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror).
const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";

/// The time limit of a shutdown hook. Lambda kills a process two seconds after SIGTERM at the latest, and open invocations have
/// the first of them. See
/// [the shutdown
/// phase](https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown).
const HOOK_TIME: Duration = Duration::from_secs(1);

/// A Lambda function's program around a router.
///
/// The router's factory, which may be async, creates the state that handlers share, such as a connection pool. The state lives
/// for all invocations of the process:
///
/// ```no_run
/// # use drumline::Router;
/// # use drumline_lambda::{App, BoxError};
/// # struct PgPool;
/// # impl PgPool { async fn connect(_: &str) -> std::io::Result<Self> { Ok(Self) } }
/// # fn jobs(_: PgPool) -> Router { Router::new() }
/// async fn router() -> Result<Router, BoxError> {
///     let pool = PgPool::connect("postgres://localhost/orders").await?;
///     Ok(jobs(pool))
/// }
///
/// fn main() -> std::process::ExitCode {
///     App::new(router).main()
/// }
/// ```
pub struct App {
    service: Service,
    known: Vec<&'static str>,
    store: Option<Arc<dyn Store>>,
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        Self { error_type: error.kind.to_owned(), error_message: error.text }
    }
}

impl App {
    /// Returns a program with the handlers of the router that this [factory](RouterFactory) creates: a function or closure,
    /// async or not, that returns a `Router` or a `Result<Router, E>`.
    ///
    /// The factory runs on the handlers' runtime, before the first invocation is requested from Lambda. If it returns an error,
    /// the function fails to initialise. It is not called in forward mode (`DRUMLINE_FORWARD_TO`). If the settings have
    /// problems, it runs up to its first await point, so that invalid settings that it reads are reported together with them.
    pub fn new<Kind>(router: impl RouterFactory<Kind>) -> Self {
        Self { service: Service::new(router), known: Vec::new(), store: None }
    }

    /// Declares `DRUMLINE_` variables that the handlers read. Other unknown names are logged as warnings, with the known name
    /// that they resemble.
    pub fn known_variables(mut self, names: &[&'static str]) -> Self {
        self.known.extend(names);
        self
    }

    /// Keeps claims and histories in the program's store, instead of the one in `DRUMLINE_STORE_URL`. Setting both is an
    /// invalid configuration.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Runs this [hook](ShutdownHook) after a SIGTERM, when no invocation is open, for one second at most. If it fails, the
    /// failure is logged and the exit status is 1.
    ///
    /// Lambda sends a SIGTERM only to functions with an extension, and can end a process without one: no effect may depend on
    /// the hook.
    pub fn on_shutdown<Kind>(mut self, hook: impl ShutdownHook<Kind>) -> Self {
        self.service = self.service.on_shutdown(hook);
        self
    }

    /// Handles events until Lambda ends the process.
    pub fn main(self) -> ExitCode {
        let (io, handlers) = match runtimes() {
            Ok(runtimes) => runtimes,
            Err(error) => return eprint_error(&error.to_string(), 1),
        };
        let status = io.block_on(self.run(handlers.handle()));
        handlers.shutdown_background();
        status
    }

    async fn run(self, handlers: &Handle) -> ExitCode {
        if variable("AWS_LAMBDA_RUNTIME_API").is_none() {
            return eprint_error(
                "AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda, as a function's bootstrap. \
                 To consume a queue elsewhere use `drumline run`",
                USAGE,
            );
        }
        let settings = match Environment::of_process()
            .declare(&self.known)
            .with_store(self.store)
            .settings_of_function()
        {
            Ok(settings) => settings,
            Err(problems) => {
                return refuse("Settings", &problems.with_those_of(self.service, handlers).await, USAGE)
                    .await;
            }
        };
        logging::init_for(&settings, Spans::All);
        leave_out_panics_of_the_library();
        // A function reaches its queues only during a batch. This check finds an environment in which no queue could be reached
        // before that.
        if let Err(problem) = check_environment() {
            return refuse("Settings", &problem, USAGE).await;
        }
        let (router, shutdown) = match router_for(&settings, self.service, handlers).await {
            Ok(made) => made,
            Err(Refusal { kind, text, status }) => return refuse(kind, &text, status).await,
        };
        let function = Arc::new(Function::new(settings, router, handlers.clone()));
        let result = converse(function).await;
        let ended = shutdown.run(HOOK_TIME).await;
        if let Err(error) = &ended {
            error!(error, "shutdown hook failed");
        }
        match result {
            Ok(()) if ended.is_err() => ExitCode::FAILURE,
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => eprint_error(&text, 1),
        }
    }
}

/// The reason why a function has no router.
struct Refusal {
    kind: &'static str,
    text: String,
    status: u8,
}

async fn router_for(
    settings: &Settings,
    service: Service,
    handlers: &Handle,
) -> Result<(Router, Shutdown), Refusal> {
    let of_settings = |problem: String| {
        let misspelt = settings.unknown_variables.iter().filter(|variable| variable.meant.is_some());
        let lines = misspelt.map(|variable| format!("\n  {variable}"));
        let text = problem + &lines.collect::<String>();
        Refusal { kind: "Settings", text, status: USAGE }
    };
    if let Some(target) = &settings.forward_to {
        let forward = forward_to(target, &settings.forward);
        let forward = forward
            .map_err(|error| of_settings(redacted(&format!("DRUMLINE_FORWARD_TO: {error}")).into_owned()))?;
        return Ok((forward.router, Shutdown::default()));
    }
    service.start(handlers).await.map_err(|error| {
        if error.is_panic() {
            Refusal { kind: "Panic", text: error.to_string(), status: 1 }
        } else {
            of_settings(error.to_string())
        }
    })
}

/// Reports to Lambda, and in the log, why the function cannot start.
async fn refuse(kind: &str, text: &str, status: u8) -> ExitCode {
    if let Err(error) = post_init_error(kind, text).await {
        warn!(error, "report to Lambda failed");
    }
    eprint_error(text, status)
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
    eprintln!("{}: {text}", program());
    ExitCode::from(status)
}
