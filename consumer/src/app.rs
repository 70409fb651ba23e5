//! A program around a router: settings, logs, signals, the drain, and the exit status.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::DrainSummary;
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{
    Environment, Forward, Problems, RouterFactory, Service, Settings, Shutdown, ShutdownHook, forward_to,
    runtimes,
};
use drumline_store::Store;
use tokio::runtime::Handle;
use tracing::{error, info};

use crate::consumer::{Consumer, Reread};
use crate::early_endpoint::EarlyEndpoint;
use crate::exit::ExitError;
use crate::signals::Signals;

/// The time for a shutdown hook if the drain has used up the grace. Stop time-outs are at least 5 s above the grace: settling the last
/// messages takes up to 3 s of them, and what follows the drain (`AFTER_DRAIN` in `consumer/stop.rs`) the fourth.
const LEAST_FOR_HOOK: Duration = Duration::from_secs(1);

/// A program that consumes queues until SIGTERM or Ctrl-C, then drains: a whole `main` around a router.
///
/// The settings are those of the `DRUMLINE_` variables, and of the file that `DRUMLINE_CONFIG` names.
///
/// State that handlers share, such as a pool of connections, is made by the router's factory, which may be async, and closed after
/// the drain:
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::sync::OnceLock;
///
/// use drumline::{Context, Failure, Job, Router};
/// use drumline_consumer::{App, BoxError};
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
///     App::new(router).on_shutdown(close).main()
/// }
/// ```
///
/// | exit status | reason |
/// |---|---|
/// | 0 | drained, or stopped during the start |
/// | 64 | bad configuration: all problems are reported at once. An error of the router's factory counts as such |
/// | 69 | a queue, the store, or the address of the HTTP endpoint is unavailable |
/// | 1 | any other error, a panic of the router's factory, a failure of the shutdown hook, or a second signal |
pub struct App {
    service: Service,
    known: Vec<&'static str>,
    store: Option<Arc<dyn Store>>,
}

impl App {
    /// A program with the handlers of the router that this [factory](RouterFactory) makes: a function or closure, async or not, that
    /// returns a `Router` or a `Result<Router, E>`.
    ///
    /// The factory runs on the runtime of handlers, before anything is received; a Ctrl-C meanwhile ends the process. It is not called
    /// in forward mode (`DRUMLINE_FORWARD_TO`). If the settings have problems, it runs up to its first wait, so that wrong settings that
    /// it reads are reported with them.
    pub fn new<Kind>(router: impl RouterFactory<Kind>) -> Self {
        Self { service: Service::new(router), known: Vec::new(), store: None }
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

    /// Runs this [hook](ShutdownHook) after the drain, once no handler runs any more, or after a start that failed behind the
    /// factory. It has what is left of `DRUMLINE_SHUTDOWN_GRACE`, and at least a second. An error, a panic or more time is logged, and
    /// makes the exit status 1.
    pub fn on_shutdown<Kind>(mut self, hook: impl ShutdownHook<Kind>) -> Self {
        self.service = self.service.on_shutdown(hook);
        self
    }

    /// Runs the program.
    pub fn main(self) -> ExitCode {
        let environment = Environment::of_process().declare(&self.known).with_store(self.store);
        let read = move || environment.settings(&BTreeMap::new(), None);
        run_rereading(read, self.service).unwrap_or_else(ExitError::report)
    }
}

/// Consumes queues with the handlers of the router that `factory` makes until SIGTERM or Ctrl-C, then drains:
/// [`App::new`] and [`App::main`] in one.
pub fn run<Kind>(factory: impl RouterFactory<Kind>) -> ExitCode {
    App::new(factory).main()
}

/// As [`App::main`], with settings that are read already. Problems with them are reported together with those of the handlers'
/// settings.
pub fn run_with(settings: Result<Settings, Problems>, service: Service) -> Result<ExitCode, ExitError> {
    run_consumer(settings, None, service)
}

/// As [`App::main`], with settings that this function reads: at the start, and again at each SIGHUP, see [`Consumer::rereading`].
pub fn run_rereading(
    read: impl Fn() -> Result<Settings, Problems> + Send + Sync + 'static,
    service: Service,
) -> Result<ExitCode, ExitError> {
    run_consumer(read(), Some(Arc::new(read)), service)
}

fn run_consumer(
    settings: Result<Settings, Problems>,
    reread: Option<Reread>,
    service: Service,
) -> Result<ExitCode, ExitError> {
    let (io, handlers) = runtimes()?;
    let result = match settings {
        Ok(settings) => {
            logging::init_for(&settings, Spans::Innermost);
            io.block_on(consume(settings, reread, service, handlers.handle()))
        }
        Err(problems) => {
            Err(ExitError::usage(io.block_on(problems.with_those_of(service, handlers.handle()))))
        }
    };
    // A blocking job that cannot stop keeps its lease to the end; the process does not wait for it.
    handlers.shutdown_background();
    io.shutdown_background();
    result
}

async fn consume(
    settings: Settings,
    reread: Option<Reread>,
    service: Service,
    handlers: &Handle,
) -> Result<ExitCode, ExitError> {
    let signals = Signals::catch()?;
    let (grace, stopping_since) = (settings.shutdown_grace, Cell::new(None));
    let mut stop = std::pin::pin!(async {
        signals.first().await;
        stopping_since.set(Some(Instant::now()));
    });
    let http = EarlyEndpoint::start(&settings).await?;
    http.wait().begins("the application's handlers", None);
    let (consumer, shutdown) = tokio::select! {
        made = consumer_for(settings, service, handlers) => made?,
        // Nothing has been received yet, and what the factory has begun ends with the process.
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let consumer = match reread {
        Some(read) => consumer.rereading(move || read()),
        None => consumer,
    };
    // A large future, moved about by its holder.
    let result = Box::pin(consumer.handlers_on(handlers.clone()).early_endpoint(http).run(stop)).await;
    if let Ok(summaries) = &result {
        let mut all = DrainSummary::default();
        for (_, summary) in summaries {
            all.drained += summary.drained;
            all.released += summary.released;
            all.abandoned += summary.abandoned;
        }
        info!(drained = all.drained, released = all.released, abandoned = all.abandoned, "stopped");
    }
    let used = stopping_since.get().map_or(Duration::ZERO, |since: Instant| since.elapsed());
    let ended = shutdown.run(grace.saturating_sub(used).max(LEAST_FOR_HOOK)).await;
    if let Err(error) = &ended {
        error!(error, "shutdown hook failed");
    }
    result?;
    Ok(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn consumer_for(
    settings: Settings,
    service: Service,
    handlers: &Handle,
) -> Result<(Consumer, Shutdown), ExitError> {
    if let Some(target) = &settings.forward_to {
        let forward = forward_to(target, &settings.forward);
        let Forward { router, target } =
            forward.map_err(|error| ExitError::usage(format!("DRUMLINE_FORWARD_TO: {error}")))?;
        return Ok((Consumer::new(settings, router).target(target), Shutdown::default()));
    }
    let (router, shutdown) = service.start(handlers).await?;
    Ok((Consumer::new(settings, router), shutdown))
}
