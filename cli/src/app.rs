//! The program: parses the command line and runs the command.

mod command_line;
#[cfg(test)]
mod documented_commands;

#[cfg(feature = "dev")]
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::FromArgMatches;
#[cfg(feature = "dev")]
use drumline::Router;
use drumline_consumer::ExitError;
#[cfg(feature = "dev")]
use drumline_runtime::BoxError;
use drumline_runtime::{Environment, RouterFactory, Service, ShutdownHook, program};
use drumline_store::Store;

#[cfg(feature = "bin")]
use crate::completions;
use crate::config;
use crate::ctl;
#[cfg(feature = "dev")]
use crate::dev;
use crate::dlq;
#[cfg(feature = "doctor")]
use crate::doctor;
use crate::health;
#[cfg(feature = "function")]
use crate::invoke;
use crate::jobs;
#[cfg(feature = "bin")]
use crate::man;
#[cfg(feature = "bin")]
use crate::new;
use crate::outbox;
use crate::run;
use crate::schedule;
use crate::schema;
use crate::send;
#[cfg(feature = "dev")]
use crate::service::{DevExample, DevJob, OwnDev};
use crate::slo;
use crate::status;
use crate::usage;
use command_line::{CommandLine, Commands};

/// A program around a router: `run`, `send`, `schema`, `jobs`, `ctl`, `dlq`, `outbox`, `schedule`, `slo`, `config`, `status` and `health`, and by features `dev`, `doctor` and `invoke`.
///
/// The router's factory makes state that handlers share, such as a connection pool; the factory may be async. A shutdown hook
/// closes this state after the drain:
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::sync::OnceLock;
///
/// use drumline::{Context, Failure, Job, Router};
/// use drumline_cli::{App, BoxError};
/// # mod sqlx {
/// #     pub struct PgPool;
/// #     impl PgPool {
/// #         pub async fn connect(_: &str) -> std::io::Result<Self> { Ok(Self) }
/// #         pub async fn close(&self) {}
/// #     }
/// # }
/// # #[derive(serde::Deserialize)] struct Order {}
/// # impl Job for Order { const TYPE: &'static str = "order"; }
/// # async fn save(_: &sqlx::PgPool, _: Context, _: Order) -> Result<(), Failure> { Ok(()) }
///
/// static POOL: OnceLock<sqlx::PgPool> = OnceLock::new();
///
/// async fn router() -> Result<Router, BoxError> {
///     let pool = sqlx::PgPool::connect("postgres://localhost/orders").await?;
///     let pool = POOL.get_or_init(|| pool);
///     Ok(Router::new().handle(move |context: Context, order: Order| save(pool, context, order)))
/// }
///
/// async fn close() {
///     if let Some(pool) = POOL.get() {
///         pool.close().await;
///     }
/// }
///
/// fn main() -> ExitCode {
///     App::new(router).version(env!("CARGO_PKG_VERSION")).on_shutdown(close).main()
/// }
/// ```
///
/// Help, usage and error texts use the name by which the program was started: a binary `orders` prints `orders run`.
pub struct App {
    service: Service,
    #[cfg(feature = "dev")]
    dev: OwnDev,
    known: Vec<&'static str>,
    store: Option<Arc<dyn Store>>,
    version: Option<&'static str>,
}

impl App {
    /// Creates a program with the handlers of the router that this [factory](RouterFactory) makes. The factory is a function or
    /// closure, async or not, that returns a `Router` or a `Result<Router, E>`.
    ///
    /// The factory runs on the handlers' runtime before the worker receives anything; Ctrl-C during this time ends the process.
    /// An error of the factory counts as bad configuration (exit status 64).
    ///
    /// These commands call the factory: `schema`; `dev`; `run`, `config` and `doctor queue`, except in forward mode
    /// (`DRUMLINE_FORWARD_TO`); `send`, for a type whose version is not given; and `dlq replay`, to find out which jobs the
    /// handlers would refuse. `jobs`, `ctl`, `slo` and `health` do not call it. `config`, `doctor`, `schema`, `send` and `dlq`
    /// wait at most ten seconds for it. If the settings have problems, the factory runs up to its first wait, so that problems
    /// in settings that it reads are reported together with the others.
    pub fn new<Kind>(router: impl RouterFactory<Kind>) -> Self {
        Self {
            service: Service::new(router),
            #[cfg(feature = "dev")]
            dev: OwnDev::default(),
            known: Vec::new(),
            store: None,
            version: None,
        }
    }

    /// Makes `dev` run another router and send these jobs; both may use the folder that `dev` passes to them. Without this
    /// call, `dev` runs the router of [`App::new`] and keeps only the job histories in its folder.
    #[cfg(feature = "dev")]
    pub fn dev<E: Into<BoxError>>(
        mut self,
        prepare: impl FnOnce(&Path) -> Result<(Router, Vec<DevJob>), E> + Send + 'static,
    ) -> Self {
        self.dev.prepare = Some(Box::new(|folder| prepare(folder).map_err(Into::into)));
        self
    }

    /// Sets the variables that `dev --function` passes to the function. They belong to the folder of [`App::dev`]; the function
    /// then receives that folder's jobs.
    #[cfg(all(feature = "dev", feature = "function"))]
    pub fn dev_function(
        mut self,
        variables: impl FnOnce(&Path) -> Vec<(String, String)> + Send + 'static,
    ) -> Self {
        self.dev.variables = Some(Box::new(variables));
        self
    }

    /// Adds a job that `dev` suggests to send by hand: its type and two payloads as JSON, so that a second job is no duplicate
    /// of the first. `dev` shows the first added job whose type has a handler; if there is none, it shows the router's first
    /// type with the payload `{}`.
    #[cfg(feature = "dev")]
    pub fn dev_example(mut self, job_type: &str, payloads: [&str; 2]) -> Self {
        let (job_type, payloads) = (job_type.to_owned(), payloads.map(str::to_owned));
        self.dev.examples.push(DevExample { job_type, payloads });
        self
    }

    /// Declares `DRUMLINE_` variables that the handlers read. Other names are reported as unknown, or as misspelt if they
    /// resemble a known one.
    pub fn known_variables(mut self, names: &[&'static str]) -> Self {
        self.known.extend(names);
        self
    }

    /// Keeps claims and histories in a store that the program provides instead of the one that `DRUMLINE_STORE_URL` names. To
    /// set both is bad configuration.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Runs this [hook](ShutdownHook) after the drain of `run` or `dev`, when no handler is running, or after a start that
    /// failed later than the factory. The hook does not run if the factory has not made a router.
    ///
    /// The hook may take the remaining time of `DRUMLINE_SHUTDOWN_GRACE`, and at least one second. An error, a panic or a
    /// timeout of the hook is logged and sets the exit status to 1.
    pub fn on_shutdown<Kind>(mut self, hook: impl ShutdownHook<Kind>) -> Self {
        self.service = self.service.on_shutdown(hook);
        self
    }

    /// Sets the version of the service: `env!("CARGO_PKG_VERSION")`. `--version` shows it before that of Drumline.
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// Runs the command of the command line.
    pub fn main(self) -> ExitCode {
        let command_line = || CommandLine::of(program(), self.version);
        let matches = command_line().try_get_matches_from(std::env::args_os());
        let command = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
            Ok(CommandLine { command }) => command,
            Err(error) => return usage::report(&error),
        };
        let environment = Environment::of_process().declare(&self.known).with_store(self.store);
        let environment = &environment;
        // A program with its own samples can run without the handlers of its router.
        #[cfg(feature = "dev")]
        let handlers_optional = self.dev.prepare.is_some();
        #[cfg(not(feature = "dev"))]
        let handlers_optional = false;
        let result = match command {
            #[cfg(feature = "bin")]
            Commands::New(args) => new::new(&args),
            Commands::Run(args) => run::run(&args, environment, self.service),
            #[cfg(feature = "dev")]
            Commands::Dev(args) => dev::dev(&args, environment, self.service, self.dev),
            #[cfg(feature = "function")]
            Commands::Invoke(args) => invoke::invoke(&args),
            Commands::Send(args) => send::send(&args, environment, self.service, handlers_optional),
            Commands::Schema(args) => schema::schema(&args, environment, self.service, self.version),
            Commands::Jobs(args) => jobs::jobs(&args, environment),
            Commands::Ctl(args) => ctl::ctl(&args, environment),
            Commands::Dlq(args) => dlq::dlq(&args, environment, self.service, handlers_optional),
            Commands::Outbox(args) => outbox::outbox(&args, environment),
            Commands::Schedule(args) => schedule::schedule(&args, environment),
            Commands::Slo(args) => slo::slo(&args),
            Commands::Config(args) => config::config(&args, environment, self.service),
            #[cfg(feature = "doctor")]
            Commands::Doctor(args) => doctor::doctor(&args, environment, self.service),
            Commands::Status(args) => status::status(&args, environment),
            Commands::Health(args) => health::health(&args, environment),
            #[cfg(feature = "bin")]
            Commands::Completions(args) => completions::completions(&args, command_line()),
            #[cfg(feature = "bin")]
            Commands::Man(args) => man::man(&args, command_line()),
        };
        result.unwrap_or_else(ExitError::report)
    }
}
