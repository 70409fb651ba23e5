//! `drumline dev`: all of it on this machine, no AWS account.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use drumline::Router;
use drumline::run::Observer;
use drumline_queue::{Endpoint, Server};
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{Environment, Settings, raise_descriptor_limit, runtimes};

use super::exit::Failed;
use super::view::View;
use super::{DevJob, MakeDev, MakeRouter};
use crate::consumer::Consumer;
use crate::signals::Signals;

/// The queue and its DLQ.
const QUEUE: &str = "jobs";
const DEAD_LETTERS: &str = "jobs-dlq";

/// After this many receives a message goes to the DLQ.
const MAX_RECEIVE_COUNT: u32 = 5;

/// So short that a job of some seconds outlives it several times: there is something to see.
const VISIBILITY_TIMEOUT: &str = "2s";

/// How often the queues are looked at: often enough to look immediate.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn command() -> Command {
    Command::new("dev")
        .about("Runs everything on this machine, without an AWS account: a queue, its DLQ, a consumer, sample jobs")
        .after_help(
            "The queue speaks the SQS protocol, so every SDK and the AWS CLI can talk to it; it keeps nothing on disk, and\n\
             is for laptops and tests. With --queue-only nothing consumes it: start your own worker on it.",
        )
        .args([
            Arg::new("sqs-addr")
                .long("sqs-addr")
                .value_name("ADDRESS")
                .value_parser(value_parser!(SocketAddr))
                .default_value("127.0.0.1:9324")
                .help("Where the queue is served; port 0 takes a free one"),
            Arg::new("allow-remote")
                .long("allow-remote")
                .action(ArgAction::SetTrue)
                .help("Let other machines reach the queue, which takes any credentials"),
            Arg::new("once").long("once").action(ArgAction::SetTrue).help("Exit when the sample jobs are through"),
            Arg::new("queue-only")
                .long("queue-only")
                .action(ArgAction::SetTrue)
                .conflicts_with("once")
                .help("Serve just the queue and its DLQ, both empty"),
            Arg::new("dir")
                .long("dir")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .default_value("drumline-dev")
                .help("Where sample files and results go"),
            Arg::new("log").long("log").value_name("FILTER").default_value("off").help("What the consumer logs"),
        ])
}

pub(super) fn dev(
    args: &ArgMatches,
    environment: &Environment,
    router: MakeRouter,
    prepare: Option<MakeDev>,
) -> Result<ExitCode, Failed> {
    let folder = args.get_one::<PathBuf>("dir").cloned().unwrap_or_default();
    let (io, handlers) = runtimes()?;
    let result = io.block_on(async {
        let signals = Signals::catch()?;
        let dev = Dev::start(args).await?;
        if args.get_flag("queue-only") {
            dev.explain(false)?;
            signals.first().await;
            return Ok(ExitCode::SUCCESS);
        }
        let (router, jobs) = match prepare {
            Some(prepare) => prepare(&folder).map_err(Failed::other)?,
            None => (router().map_err(Failed::usage)?, Vec::new()),
        };
        let settings = dev.settings(args, environment)?;
        logging::init(settings.log_format, &settings.log, Spans::Innermost);
        let once = args.get_flag("once");
        // A large future, moved about by whoever holds it.
        Box::pin(dev.run(settings, router, jobs, handlers.handle().clone(), &folder, once, signals)).await
    });
    handlers.shutdown_background();
    io.shutdown_background();
    result
}

/// The queue, served.
struct Dev {
    server: Server,
    queue_url: String,
    dead_letter_url: String,
    view: Arc<View>,
}

impl Dev {
    async fn start(args: &ArgMatches) -> Result<Self, Failed> {
        let addr = args.get_one::<SocketAddr>("sqs-addr").expect("it has a default");
        if !addr.ip().to_canonical().is_loopback() && !args.get_flag("allow-remote") {
            return Err(Failed::usage(format!(
                "--sqs-addr {addr} can be reached from other machines, and the queue takes any credentials: use 127.0.0.1, or add \
                 --allow-remote if all who reach the address may send, read and delete messages"
            )));
        }
        raise_descriptor_limit();
        let server = Server::bind(addr).await.map_err(|error| {
            Failed::unavailable(format!(
                "cannot serve the queue on {addr}: {error}; --sqs-addr takes another address"
            ))
        })?;
        let urls = server.endpoint().create_queue_with_dead_letters(QUEUE, DEAD_LETTERS, MAX_RECEIVE_COUNT);
        let (queue_url, dead_letter_url) = urls.map_err(|error| Failed::other(error.to_string()))?;
        Ok(Self { server, queue_url, dead_letter_url, view: Arc::new(View::new()) })
    }

    fn settings(&self, args: &ArgMatches, environment: &Environment) -> Result<Settings, Failed> {
        let once = args.get_flag("once");
        let mut flags: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| flags.insert(key.to_owned(), value.to_owned());
        set("queue_url", &self.queue_url);
        set("visibility_timeout", VISIBILITY_TIMEOUT);
        // Nobody wants to wait for a long poll at Ctrl-C, and asking is free here.
        set("wait_time", "1s");
        set("retry", "exponential(1s,2,5s)");
        set("retry_jitter", "none");
        set("log", args.get_one::<String>("log").map_or("off", String::as_str));
        if once {
            set("http_addr", "off");
        }
        environment.settings(&flags, None).map_err(|error| Failed::usage(error.to_string()))
    }

    #[allow(clippy::too_many_arguments, reason = "called once, with what `dev` has put together")]
    async fn run(
        self,
        settings: Settings,
        router: Router,
        jobs: Vec<DevJob>,
        handlers: tokio::runtime::Handle,
        folder: &Path,
        once: bool,
        signals: Signals,
    ) -> Result<ExitCode, Failed> {
        for job in &jobs {
            let id = self
                .endpoint()
                .send(&self.queue_url, &job.body)
                .map_err(|error| Failed::other(error.to_string()))?;
            self.view.add(&id, &job.label, &job.outputs);
        }
        let stopped = async {
            let mut signal = std::pin::pin!(signals.first());
            let drained = async {
                self.watch(false).await;
                self.show(folder)
            };
            tokio::select! {
                () = &mut signal => return Ok(()),
                shown = drained => shown?,
            }
            if !once {
                self.explain(true)?;
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

    fn explain(&self, consumed: bool) -> std::io::Result<()> {
        let (endpoint, queue_url) = (self.server.endpoint_url(), &self.queue_url);
        let send = if consumed { "Send a job:" } else { "Nothing consumes it. Send a job:" };
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "\nSQS endpoint {endpoint}, queue {queue_url}, until Ctrl-C. {send}\n  \
             drumline send --queue-url {queue_url} --type email.send \\\n    \
             --payload '{{\"deliveryId\":\"d1\",\"templateId\":\"welcome\",\"userId\":\"ada\"}}'\n  \
             AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message --region us-east-1 \\\n    \
             --endpoint-url {endpoint} --queue-url {queue_url} \\\n    \
             --message-body '{{\"type\":\"email.send\",\"payload\":{{\"deliveryId\":\"d2\",\"templateId\":\"welcome\",\"userId\":\"ada\"}}}}'"
        )?;
        out.flush()
    }

    fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}
