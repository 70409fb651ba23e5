//! `drumline dev`: all of it on this machine, no AWS account.

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
use drumline_runtime::{Environment, Settings, raise_descriptor_limit, runtimes};

use crate::service::{DevJob, MakeDev, MakeRouter};
use crate::view::View;

/// The queue and its DLQ.
const QUEUE: &str = "jobs";
const DEAD_LETTERS: &str = "jobs-dlq";

/// After this many receives a message goes to the DLQ.
const MAX_RECEIVE_COUNT: u32 = 5;

/// So short that a job of some seconds outlives it several times: there is something to see.
const VISIBILITY_TIMEOUT: &str = "2s";

/// How often the queues are looked at: often enough to look immediate.
const LOOK: Duration = Duration::from_millis(50);

/// Runs everything on this machine, without an AWS account: a queue, its DLQ, a consumer, sample jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The queue speaks the SQS protocol, so every SDK and the AWS CLI can talk to it; it keeps nothing on disk, and
is for laptops and tests. With --queue-only nothing consumes it: start your own worker on it.")]
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
    /// The folder of sample files and results
    #[arg(long, value_name = "FOLDER", default_value = "drumline-dev")]
    dir: PathBuf,
    /// The filter of the consumer's log
    #[arg(long, value_name = "FILTER", default_value = "off")]
    log: String,
}

pub(crate) fn dev(
    args: &DevArgs,
    environment: &Environment,
    router: MakeRouter,
    prepare: Option<MakeDev>,
) -> Result<ExitCode, ExitError> {
    let (io, handlers) = runtimes()?;
    let result = io.block_on(async {
        let signals = Signals::catch()?;
        let dev = Dev::start(args).await?;
        if args.queue_only {
            dev.explain(None)?;
            signals.first().await;
            return Ok(ExitCode::SUCCESS);
        }
        let (router, jobs) = match prepare {
            Some(prepare) => prepare(&args.dir).map_err(ExitError::other)?,
            None => (router().map_err(ExitError::usage)?, Vec::new()),
        };
        let settings = dev.settings(args, environment)?;
        logging::init(settings.log_format, &settings.log, Spans::Innermost);
        // A large future, moved about by its holder.
        Box::pin(dev.run(args, settings, router, jobs, handlers.handle().clone(), signals)).await
    });
    handlers.shutdown_background();
    io.shutdown_background();
    result
}

/// A job to send by hand.
struct Example {
    job_type: &'static str,
    /// Of two jobs, so that the second is no duplicate of the first.
    payloads: [&'static str; 2],
}

impl Example {
    /// Of the samples with all jobs.
    const MAIL: Self = Self {
        job_type: "email.send",
        payloads: [
            r#"{"deliveryId":"d1","templateId":"welcome","userId":"ada"}"#,
            r#"{"deliveryId":"d2","templateId":"welcome","userId":"ada"}"#,
        ],
    };

    /// Of the samples in builds without mail.
    const FLAKY: Self =
        Self { job_type: "sample.flaky", payloads: [r#"{"succeedsAt":2}"#, r#"{"succeedsAt":1}"#] };

    fn of(router: &Router) -> Self {
        let mut types = router.types();
        let is_light = types.any(|job_type| job_type == Self::FLAKY.job_type)
            && !router.types().any(|job_type| job_type == Self::MAIL.job_type);
        if is_light { Self::FLAKY } else { Self::MAIL }
    }
}

/// The queue, served.
struct Dev {
    server: Server,
    queue_url: String,
    dead_letter_url: String,
    view: Arc<View>,
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
        Ok(Self { server, queue_url, dead_letter_url, view: Arc::new(View::new()) })
    }

    fn settings(&self, args: &DevArgs, environment: &Environment) -> Result<Settings, ExitError> {
        let mut flags: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| flags.insert(key.to_owned(), value.to_owned());
        set("queue_url", &self.queue_url);
        set("visibility_timeout", VISIBILITY_TIMEOUT);
        // Nobody wants to wait for a long poll at Ctrl-C, and asking is free here.
        set("wait_time", "1s");
        set("retry", "exponential(1s,2,5s)");
        set("retry_jitter", "none");
        set("log", &args.log);
        if args.once {
            set("http_addr", "off");
        }
        environment.settings(&flags, None).map_err(|error| ExitError::usage(error.to_string()))
    }

    async fn run(
        self,
        args: &DevArgs,
        settings: Settings,
        router: Router,
        jobs: Vec<DevJob>,
        handlers: tokio::runtime::Handle,
        signals: Signals,
    ) -> Result<ExitCode, ExitError> {
        let example = Example::of(&router);
        for job in &jobs {
            let id = self
                .endpoint()
                .send(&self.queue_url, &job.body)
                .map_err(|error| ExitError::other(error.to_string()))?;
            self.view.add(&id, &job.label, &job.outputs);
        }
        let stopped = async {
            let mut signal = std::pin::pin!(signals.first());
            let drained = async {
                self.watch(false).await;
                self.show(&args.dir)
            };
            tokio::select! {
                () = &mut signal => return Ok(()),
                shown = drained => shown?,
            }
            if !args.once {
                self.explain(Some(&example))?;
                tokio::select! {
                    () = &mut signal => {}
                    () = self.watch(true) => {}
                }
            }
            Ok::<(), std::io::Error>(())
        };
        let mut problem = None;
        let shutdown = async { problem = stopped.await.err() };
        let view = Arc::clone(&self.view) as Arc<dyn Observer>;
        let consumer = Consumer::new(settings, router).observer(view).handlers_on(handlers);
        // Its future is a large one to keep inside this one.
        Box::pin(consumer.run(shutdown)).await?;
        self.view.clear();
        match problem {
            // Whoever reads the table may have seen enough of it.
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(ExitCode::SUCCESS),
        }
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

    fn show(&self, folder: &Path) -> std::io::Result<()> {
        self.view.clear();
        let folder = folder.canonicalize()?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.view.table(&folder))?;
        writeln!(out, "Files are in {}", folder.display())?;
        let dead = self.endpoint().peek(&self.dead_letter_url).unwrap_or_default();
        writeln!(out, "\n{} messages in {DEAD_LETTERS}:", dead.len())?;
        for message in dead {
            let reason =
                self.view.reason(&message.message_id).unwrap_or_else(|| "received too often".to_owned());
            writeln!(out, "  {}  received {} times: {reason}", message.message_id, message.receive_count)?;
        }
        Ok(())
    }

    /// Prints where the queue is, and how to send a job: `example`, unless nothing consumes it.
    fn explain(&self, example: Option<&Example>) -> std::io::Result<()> {
        let (endpoint, queue_url) = (self.server.endpoint_url(), &self.queue_url);
        let send = if example.is_some() { "Send a job:" } else { "Nothing consumes it. Send a job:" };
        let Example { job_type, payloads: [payload, other] } = example.unwrap_or(&Example::MAIL);
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "\nSQS endpoint {endpoint}, queue {queue_url}, until Ctrl-C. {send}\n  \
             drumline send --queue-url {queue_url} --type {job_type} \\\n    \
             --payload '{payload}'\n  \
             AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message --region us-east-1 \\\n    \
             --endpoint-url {endpoint} --queue-url {queue_url} \\\n    \
             --message-body '{{\"type\":\"{job_type}\",\"payload\":{other}}}'"
        )?;
        out.flush()
    }

    fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}
