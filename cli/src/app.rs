//! The program: which command is meant, and what it is given.

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
use crate::usage;
use command_line::{CommandLine, Commands};

/// A program around a router: `run`, `send`, `schema`, `jobs`, `ctl`, `dlq`, `outbox`, `schedule`, `slo`, `config` and `health`, and by features `dev`, `doctor` and `invoke`.
///
/// State that handlers share, such as a pool of connections, is made by the router's factory, which may be async, and closed by a hook
/// after the drain:
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
/// Help, usage and errors name the program as it was started: a binary `orders` says `orders run`.
pub struct App {
    service: Service,
    #[cfg(feature = "dev")]
    dev: OwnDev,
    known: Vec<&'static str>,
    store: Option<Arc<dyn Store>>,
    version: Option<&'static str>,
}

impl App {
    /// A program with the handlers of the router that this [factory](RouterFactory) makes: a function or closure, async or not, that
    /// returns a `Router` or a `Result<Router, E>`.
    ///
    /// The factory runs on the runtime of handlers, before anything is received; a Ctrl-C meanwhile ends the process. Its error is
    /// bad configuration (exit status 64). `schema` calls it; `run`, `config` and `doctor queue` call it, but not in forward mode
    /// (`DRUMLINE_FORWARD_TO`), and `dev` does; so does `send` for a type whose version it is not given, and `dlq replay`,
    /// which asks what the handlers would refuse. `config`, `doctor`, `schema`, `send` and `dlq` wait for it for ten seconds at most. `jobs`, `ctl`, `slo` and
    /// `health` do not call it. If the settings have problems, it runs up to its first wait, so that wrong settings that it reads
    /// are reported with them.
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

    /// Has `dev` run another router and send these jobs; both may use the folder they are given. Without it, `dev` runs the router of
    /// [`App::new`], and has nothing but the histories of jobs in its folder.
    #[cfg(feature = "dev")]
    pub fn dev<E: Into<BoxError>>(
        mut self,
        prepare: impl FnOnce(&Path) -> Result<(Router, Vec<DevJob>), E> + Send + 'static,
    ) -> Self {
        self.dev.prepare = Some(Box::new(|folder| prepare(folder).map_err(Into::into)));
        self
    }

    /// Has `dev --function` give the function these variables. They belong to the folder of [`App::dev`], whose jobs the function then
    /// gets.
    #[cfg(all(feature = "dev", feature = "function"))]
    pub fn dev_function(
        mut self,
        variables: impl FnOnce(&Path) -> Vec<(String, String)> + Send + 'static,
    ) -> Self {
        self.dev.variables = Some(Box::new(variables));
        self
    }

    /// Gives `dev` a job to advise: its type, and two payloads as JSON, so that a second job is no duplicate of the first. The first
    /// given one whose type has a handler is shown; without any, it is the router's first type with the payload `{}`.
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

    /// Keeps claims and histories in a store of the program's own, in place of the one that `DRUMLINE_STORE_URL` names; that both are
    /// given is bad configuration.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Runs this [hook](ShutdownHook) after the drain of `run` or `dev`, once no handler runs any more, or after a start that failed
    /// behind the factory. It does not run if the factory has made no router.
    ///
    /// It has what is left of `DRUMLINE_SHUTDOWN_GRACE`, and at least a second. An error, a panic or more time is logged, and makes
    /// the exit status 1.
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
        // A program with samples of its own may be used without the handlers of its router.
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
            Commands::Health(args) => health::health(&args, environment),
            #[cfg(feature = "bin")]
            Commands::Completions(args) => completions::completions(&args, command_line()),
            #[cfg(feature = "bin")]
            Commands::Man(args) => man::man(&args, command_line()),
        };
        result.unwrap_or_else(ExitError::report)
    }
}
