//! `drumline dev`: runs a queue, a worker and sample jobs on this machine, without an AWS account.

mod example;
#[cfg(feature = "function")]
mod function;
mod served;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::run::Observer;
use drumline_consumer::{Consumer, ExitError, Signals, StartError};
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{
    Environment, Problems, Service, Settings, Shutdown, make_on, program, runtimes, when_free,
};
use example::Example;
use served::{Dev, RETRY, STANDARD, note_in_use};
use store::DevStore;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::own_endpoint;
use crate::service::{DevJob, OwnDev};

/// So short that a job of a few seconds outlives it several times: the user sees renewals.
const VISIBILITY_TIMEOUT: &str = "2s";

/// The longest time that the explanations wait for the HTTP endpoint to start, and the time between two checks.
const MOST_START: Duration = Duration::from_secs(3);
const START_LOOK: Duration = Duration::from_millis(20);

/// The longest time that the service's shutdown hook may take: the user has pressed Ctrl-C and waits.
const HOOK_TIME: Duration = Duration::from_secs(5);

/// Runs a queue, its DLQ, a worker and sample jobs on this machine
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The queue is for laptops and tests. It speaks the SQS protocol, so it works with every SDK and the AWS CLI. It stores no messages on disk. \
The job histories are in the file jobs.db of the folder given by --dir. `jobs` and `dlq` read them with --store-url file:FOLDER/jobs.db, \
even after `dev` has ended. A job that is done in one start of `dev` can run again in the next. DRUMLINE_STORE_URL selects another store, \
and DRUMLINE_SCOPE another scope. With --queue-only, no worker reads from the queue: start your own. With --function, a Lambda function \
takes the worker's place, with the same jobs and the same table of results.

Examples:
  {program} dev
  {program} dev --once
  {program} dev --queue-only --sqs-addr 127.0.0.1:9325
  {program} dev --log info
  {program} dev --once --function target/debug/my-function

Exit status: 0 after Ctrl-C, or with --once when all sample jobs have ended, 64 bad configuration, 69 an address cannot be served, 1 any \
other error.")]
pub(crate) struct DevArgs {
    /// The address of the queue; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9324")]
    sqs_addr: SocketAddr,
    /// Let other machines use the queue, which accepts any credentials
    #[arg(long)]
    allow_remote: bool,
    /// Exit when all sample jobs have ended
    #[arg(long)]
    once: bool,
    /// Serve only the queue and its DLQ, both empty
    #[arg(long, conflicts_with = "once")]
    queue_only: bool,
    /// The folder for histories, sample files and results
    #[arg(long, value_name = "FOLDER", default_value = "drumline-dev")]
    dir: PathBuf,
    /// The filter of the consumer's log
    #[arg(long, value_name = "FILTER", default_value = "off")]
    log: String,
    #[cfg(feature = "function")]
    #[command(flatten)]
    mapping: function::MappingArgs,
}

pub(crate) fn dev(
    args: &DevArgs,
    environment: &Environment,
    service: Service,
    own: OwnDev,
) -> Result<ExitCode, ExitError> {
    let (io, handlers) = runtimes()?;
    let result = io.block_on(async {
        let signals = Signals::catch()?;
        #[cfg(feature = "function")]
        if let Some(bootstrap) = args.mapping.bootstrap() {
            let behind = function::Behind::new(bootstrap, &args.mapping)?;
            let dev = Dev::start(args.sqs_addr, args.allow_remote, args.mapping.queue()).await?;
            let options = function::Options { once: args.once, folder: &args.dir, log: &args.log };
            let store = if args.mapping.names_store() {
                DevStore::default()
            } else {
                DevStore::choose(&args.dir, environment).await
            };
            return behind.run(dev, options, own, &store, handlers.handle(), signals.first()).await;
        }
        let mut dev = Dev::start(args.sqs_addr, args.allow_remote, STANDARD).await?;
        if args.queue_only {
            dev.explain("Nothing consumes it. Send a job", &Example::of_any(&own.examples))?;
            signals.first().await;
            return Ok(ExitCode::SUCCESS);
        }
        let store = DevStore::choose(&args.dir, environment).await;
        let settings = match settings(&dev, args, environment, &store) {
            Ok(settings) => settings,
            Err(problems) if own.prepare.is_some() => return Err(ExitError::usage(problems.to_string())),
            Err(problems) => {
                return Err(ExitError::usage(problems.with_those_of(service, handlers.handle()).await));
            }
        };
        logging::init_for(&settings, Spans::Innermost);
        let mut stop = std::pin::pin!(signals.first());
        let jobs = tokio::select! {
            made = Jobs::make(&args.dir, service, own, handlers.handle()) => made?,
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        };
        dev.histories = store.notice(program());
        if let Some(addr) = settings.http_addr {
            // The consumer waits for it too, but its log may be off.
            let free = when_free(async || TcpListener::bind(addr).await, || note_in_use(addr)).await;
            free.map_err(|error| StartError::Http { addr, error })?;
        }
        // The future is large, and its owner moves it.
        Box::pin(run(dev, args, settings, jobs, handlers.handle().clone(), stop)).await
    });
    handlers.shutdown_background();
    io.shutdown_background();
    result
}

/// The handlers and their sample jobs.
struct Jobs {
    router: Router,
    samples: Vec<DevJob>,
    /// The folder of the samples' files, if the samples use one.
    folder: Option<PathBuf>,
    example: Example,
    shutdown: Shutdown,
}

impl Jobs {
    async fn make(
        folder: &Path,
        service: Service,
        own: OwnDev,
        handlers: &Handle,
    ) -> Result<Self, ExitError> {
        let (router, samples, folder, shutdown) = if let Some(prepare) = own.prepare {
            let folder = folder.to_path_buf();
            let for_samples = folder.clone();
            let prepared = make_on(handlers, async move { prepare(&for_samples) }).await;
            let (router, samples) = prepared.map_err(|error| ExitError::other(error.to_string()))?;
            (router, samples, Some(folder), Shutdown::default())
        } else {
            let (router, shutdown) = service.start(handlers).await?;
            (router, Vec::new(), None, shutdown)
        };
        let example = Example::of(&router, &own.examples);
        Ok(Self { router, samples, folder, example, shutdown })
    }
}

fn settings(
    dev: &Dev,
    args: &DevArgs,
    environment: &Environment,
    store: &DevStore,
) -> Result<Settings, Problems> {
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: &str| flags.insert(key.to_owned(), value.to_owned());
    set("queue_url", &dev.queue_url);
    set("visibility_timeout", VISIBILITY_TIMEOUT);
    // A long poll would delay the exit after Ctrl-C, and requests cost nothing here.
    set("wait_time", "1s");
    set("retry", RETRY);
    set("retry_jitter", "none");
    set("log", &args.log);
    if args.once {
        set("http_addr", "off");
    }
    store.add_to(&mut flags);
    environment.settings(&flags, None)
}

async fn run(
    dev: Dev,
    args: &DevArgs,
    settings: Settings,
    jobs: Jobs,
    handlers: Handle,
    stop: impl Future<Output = ()>,
) -> Result<ExitCode, ExitError> {
    let Jobs { router, samples, folder, example, shutdown } = jobs;
    dev.send(&samples)?;
    let presented = dev.present(args.once, folder.as_deref(), &example, stop);
    let http_addr = settings.http_addr;
    let mut problem = None;
    let stopped = async {
        // The user reads how to send a job, and may then ask for it immediately.
        until_served(http_addr).await;
        problem = presented.await.err();
    };
    let view = Arc::clone(&dev.view) as Arc<dyn Observer>;
    let consumer = Consumer::new(settings, router).observer(view).handlers_on(handlers);
    let consumer = consumer.endpoint(dev.server.endpoint_url());
    // The future is too large to keep inside this one.
    let result = Box::pin(consumer.run(stopped)).await;
    dev.view.clear();
    let ended = shutdown.run(HOOK_TIME).await;
    result?;
    ended.map_err(|error| ExitError::other(format!("the shutdown hook failed: {error}")))?;
    problem.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Returns when the worker with the HTTP endpoint at this address has started, or at once if there is no endpoint or its port is not
/// known.
async fn until_served(addr: Option<SocketAddr>) {
    let Some(addr) = addr else { return };
    let served = async {
        let is_alive = move || own_endpoint::get(addr, "/livez", None).is_ok_and(|answer| answer.is_ok());
        while !spawn_blocking(is_alive).await.unwrap_or_default() {
            tokio::time::sleep(START_LOOK).await;
        }
    };
    // Port 0 means any free port, so the endpoint cannot be reached at `addr`.
    let _ = tokio::time::timeout(MOST_START, served).await;
}
