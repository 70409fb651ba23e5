//! `drumline dev`: all of it on this machine, no AWS account.

mod example;
#[cfg(feature = "function")]
mod function;
mod store;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::run::Observer;
use drumline_consumer::Consumer;
use drumline_consumer::ExitError;
use drumline_consumer::Signals;
use drumline_queue::{Endpoint, Server};
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{
    Environment, Problems, Service, Settings, Shutdown, make_on, program, raise_descriptor_limit, runtimes,
};
use example::Example;
use store::DevStore;
use tokio::runtime::Handle;

use crate::output::print;
#[cfg(feature = "function")]
use crate::service::FunctionVariables;
use crate::service::{DevExample, DevJob, MakeDev};
use crate::view::View;

/// The queue and its DLQ.
const QUEUE: &str = "jobs";
const DEAD_LETTERS: &str = "jobs-dlq";

/// After this many receives a message goes to the DLQ.
const MAX_RECEIVE_COUNT: u32 = 5;

/// So short that a job of some seconds outlives it several times: there is something to see.
const VISIBILITY_TIMEOUT: &str = "2s";

/// Quick retries: the user waits for them.
const RETRY: &str = "exponential(1s,2,5s)";

/// How often the queues are looked at: often enough to look immediate.
const LOOK: Duration = Duration::from_millis(50);

/// How long the service's shutdown hook may take: the user who pressed Ctrl-C waits for it.
const HOOK_TIME: Duration = Duration::from_secs(5);

/// Runs everything on this machine, without an AWS account: a queue, its DLQ, a consumer, sample jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The queue speaks the SQS protocol, so every SDK and the AWS CLI can talk to it; it keeps nothing on disk, and
is for laptops and tests. What is known of jobs is kept in the file jobs.db of the folder: `jobs` and `dlq` read it
by --store-url file:FOLDER/jobs.db, also after the end. A job that is done counts as such for one start only.
DRUMLINE_STORE_URL takes another store, and DRUMLINE_SCOPE another scope. With --queue-only nothing consumes it: start your own worker on it.")]
pub(crate) struct DevArgs {
    /// The address of the queue; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9324")]
    sqs_addr: SocketAddr,
    /// Let other machines reach the queue, which takes any credentials
    #[arg(long)]
    allow_remote: bool,
    /// Exit when the sample jobs are through
    #[arg(long)]
    once: bool,
    /// Serve just the queue and its DLQ, both empty
    #[arg(long, conflicts_with = "once")]
    queue_only: bool,
    /// The folder of histories, sample files and results
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
            let dev = Dev::start(args).await?;
            return behind.run(dev, args, own, handlers.handle(), signals.first()).await;
        }
        let mut dev = Dev::start(args).await?;
        if args.queue_only {
            dev.explain("Nothing consumes it. Send a job", &Example::of_any(&own.examples))?;
            signals.first().await;
            return Ok(ExitCode::SUCCESS);
        }
        let store = DevStore::choose(&args.dir, environment).await;
        let settings = match dev.settings(args, environment, &store) {
            Ok(settings) => settings,
            Err(problems) if own.prepare.is_some() => return Err(ExitError::usage(problems.to_string())),
            Err(problems) => {
                return Err(ExitError::usage(problems.with_those_of(service, handlers.handle()).await));
            }
        };
        logging::init(settings.log_format, &settings.log, Spans::Innermost);
        let mut stop = std::pin::pin!(signals.first());
        let jobs = tokio::select! {
            made = Jobs::make(&args.dir, service, own, handlers.handle()) => made?,
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        };
        dev.histories = store.notice(program());
        // A large future, moved about by its holder.
        Box::pin(dev.run(args, settings, jobs, handlers.handle().clone(), stop)).await
    });
    handlers.shutdown_background();
    io.shutdown_background();
    result
}

/// The parts of `dev` that a service gives it.
#[derive(Default)]
pub(crate) struct OwnDev {
    pub(crate) prepare: Option<MakeDev>,
    pub(crate) examples: Vec<DevExample>,
    #[cfg(feature = "function")]
    pub(crate) variables: Option<FunctionVariables>,
}

/// The handlers, and the jobs that show them.
struct Jobs {
    router: Router,
    samples: Vec<DevJob>,
    /// The folder of the samples' files, if anything uses one.
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

/// The queue, served.
struct Dev {
    server: Server,
    queue_url: String,
    dead_letter_url: String,
    view: Arc<View>,
    /// Says where the histories of its consumer are.
    histories: Option<String>,
}

impl Dev {
    async fn start(args: &DevArgs) -> Result<Self, ExitError> {
        let addr = args.sqs_addr;
        if !addr.ip().to_canonical().is_loopback() && !args.allow_remote {
            return Err(ExitError::usage(format!(
                "--sqs-addr {addr} can be reached from other machines, and the queue takes any credentials: use 127.0.0.1, or add \
                 --allow-remote if all who reach the address may send, read and delete messages"
            )));
        }
        raise_descriptor_limit();
        let server = Server::bind(addr).await.map_err(|error| {
            ExitError::unavailable(format!(
                "cannot serve the queue on {addr}: {error}; --sqs-addr takes another address"
            ))
        })?;
        let urls = server.endpoint().create_queue_with_dead_letters(QUEUE, DEAD_LETTERS, MAX_RECEIVE_COUNT);
        let (queue_url, dead_letter_url) = urls.map_err(|error| ExitError::other(error.to_string()))?;
        Ok(Self { server, queue_url, dead_letter_url, view: Arc::new(View::new()), histories: None })
    }

    fn settings(
        &self,
        args: &DevArgs,
        environment: &Environment,
        store: &DevStore,
    ) -> Result<Settings, Problems> {
        let mut flags: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| flags.insert(key.to_owned(), value.to_owned());
        set("queue_url", &self.queue_url);
        set("visibility_timeout", VISIBILITY_TIMEOUT);
        // A long poll would delay the end after Ctrl-C, and asking is free here.
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
        self,
        args: &DevArgs,
        settings: Settings,
        jobs: Jobs,
        handlers: Handle,
        stop: impl Future<Output = ()>,
    ) -> Result<ExitCode, ExitError> {
        let Jobs { router, samples, folder, example, shutdown } = jobs;
        self.send(&samples)?;
        let stopped = self.present(args.once, folder.as_deref(), &example, stop);
        let mut problem = None;
        let stopped = async { problem = stopped.await.err() };
        let view = Arc::clone(&self.view) as Arc<dyn Observer>;
        let consumer = Consumer::new(settings, router).observer(view).handlers_on(handlers);
        // Its future is a large one to keep inside this one.
        let result = Box::pin(consumer.run(stopped)).await;
        self.view.clear();
        let ended = shutdown.run(HOOK_TIME).await;
        result?;
        ended.map_err(|error| ExitError::other(format!("the shutdown hook failed: {error}")))?;
        problem.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    /// Sends the samples.
    fn send(&self, samples: &[DevJob]) -> Result<(), ExitError> {
        for job in samples {
            let id = self
                .endpoint()
                .send(&self.queue_url, &job.body)
                .map_err(|error| ExitError::other(error.to_string()))?;
            self.view.add(&id, &job.label, &job.outputs);
        }
        Ok(())
    }

    /// Shows what becomes of the samples, and unless it is `once`, how to send more. Returns when the command should end.
    async fn present(
        &self,
        once: bool,
        folder: Option<&Path>,
        example: &Example,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ExitError> {
        let mut signal = std::pin::pin!(stop);
        let drained = async {
            self.watch(false).await;
            self.show(folder)?;
            match &self.histories {
                Some(text) => print(|out| writeln!(out, "\n{text}")),
                None => Ok(()),
            }
        };
        tokio::select! {
            () = &mut signal => return Ok(()),
            shown = drained => shown?,
        }
        if !once {
            self.explain(example.request(), example)?;
            tokio::select! {
                () = &mut signal => {}
                () = self.watch(true) => {}
            }
        }
        Ok(())
    }

    /// Follows the DLQ, until every job is through or for ever.
    async fn watch(&self, for_ever: bool) {
        let mut seen = HashSet::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            for message in self.endpoint().peek(&self.dead_letter_url).unwrap_or_default() {
                if seen.insert(Arc::clone(&message.message_id)) {
                    self.view.dead_lettered(&message.message_id);
                }
            }
            let empty = self.endpoint().peek(&self.queue_url).is_ok_and(|messages| messages.is_empty());
            if !for_ever && empty && self.view.is_drained() {
                return;
            }
        }
    }

    /// Prints what became of the samples, in their folder. Without a folder there are none.
    fn show(&self, folder: Option<&Path>) -> Result<(), ExitError> {
        self.view.clear();
        let Some(folder) = folder else {
            return print(|out| writeln!(out, "There are no sample jobs."));
        };
        let folder = folder.canonicalize()?;
        let dead = self.endpoint().peek(&self.dead_letter_url).unwrap_or_default();
        print(|out| {
            writeln!(out, "{}", self.view.table(&folder))?;
            writeln!(out, "Files are in {}", folder.display())?;
            writeln!(out, "\n{} messages in {DEAD_LETTERS}:", dead.len())?;
            dead.iter().try_for_each(|message| {
                let reason = self.view.reason(&message.message_id);
                let reason = reason.as_deref().unwrap_or("received too often");
                writeln!(out, "  {}  received {} times: {reason}", message.message_id, message.receive_count)
            })
        })
    }

    /// Prints where the queue is, and how to send `example`, as `request` asks for it.
    fn explain(&self, request: &str, example: &Example) -> Result<(), ExitError> {
        let (endpoint, queue_url) = (self.server.endpoint_url(), &self.queue_url);
        let commands = example.commands(program(), &endpoint, queue_url);
        print(|out| {
            writeln!(
                out,
                "\nSQS endpoint {endpoint}, queue {queue_url}, until Ctrl-C. {request}:\n{commands}"
            )
        })
    }

    fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}
