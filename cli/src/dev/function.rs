//! `dev --function`: runs a Lambda function behind the queue instead of a consumer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use drumline_consumer::ExitError;
use drumline_lambda_local::{
    Failure, FailureKind, Function, LogSink, MappedQueue, Mapping, MappingEvent, VISIBILITY_FACTOR,
};
use drumline_queue::api::SetQueueAttributes;
use drumline_runtime::{make_on, program};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::example::Example;
use super::served::{Dev, FIFO, Names, RETRY, STANDARD};
use super::store::DevStore;
use crate::format::note;
use crate::function_args::{FunctionArgs, timeout};
use crate::service::{DevJob, OwnDev};
use crate::view::function_log::{self, Line};

/// The value of `--log` that shows no log lines.
const LOG_OFF: &str = "off";

/// The log level of a function whose log is off. It includes the reasons of failures, which `dev` itself shows.
const LEAST_LOG: &str = "info";

/// The variable that sets a function's store.
const STORE: &str = "DRUMLINE_STORE_URL";

/// The flags of `dev` that describe a function and its event source mapping.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A Lambda function in place of the consumer")]
pub(crate) struct MappingArgs {
    /// Run this bootstrap behind the queue
    ///
    /// The command simulates the event source mapping, without scaling, throttling and filters.
    #[arg(long = "function", id = "function", value_name = "PATH", conflicts_with = "queue_only")]
    bootstrap: Option<PathBuf>,
    /// The largest number of messages in a batch, 1 to 10000
    ///
    /// More than 10 needs a --batch-window.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "function")]
    batch_size: usize,
    /// The time that a batch waits for further messages
    ///
    /// The time is in whole seconds, up to 300s.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration, requires = "function")]
    batch_window: Duration,
    /// Concurrent invocations, each in its own process
    #[arg(long, value_name = "N", default_value_t = 1, requires = "function")]
    concurrency: usize,
    /// The function's timeout, from 1s to 15m
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = timeout, requires = "function")]
    timeout: Duration,
    /// The queue's visibility timeout
    ///
    /// The default is six times the function's timeout, plus the batch window, as AWS recommends.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "function")]
    visibility_timeout: Option<Duration>,
    /// Partial batch responses: the response names failed messages
    ///
    /// If this is off, Lambda deletes the whole batch unless the invocation fails.
    #[arg(long, value_enum, default_value_t = Switch::On, requires = "function")]
    report_batch_item_failures: Switch,
    /// Make the queue a FIFO queue
    ///
    /// Only one batch of a message group is processed at a time, and the messages of a group stay in order.
    #[arg(long, requires = "function")]
    fifo: bool,
    #[command(flatten)]
    function: FunctionArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl MappingArgs {
    pub(super) fn bootstrap(&self) -> Option<&Path> {
        self.bootstrap.as_deref()
    }

    /// Returns the names of the function's queue and its DLQ.
    pub(super) fn queue(&self) -> Names {
        if self.fifo { FIFO } else { STANDARD }
    }

    /// Returns true if `--env` names the function's store.
    pub(super) fn names_store(&self) -> bool {
        self.function.sets(STORE)
    }

    fn mapping(&self) -> Result<Mapping, ExitError> {
        let mapping = Mapping::new(self.batch_size, self.batch_window, self.fifo)
            .and_then(|mapping| mapping.concurrency(self.concurrency))
            .map_err(|problem| ExitError::usage(problem.to_string()))?;
        Ok(mapping.report_batch_item_failures(self.report_batch_item_failures == Switch::On))
    }

    fn visibility(&self) -> Duration {
        self.visibility_timeout.unwrap_or(self.timeout * VISIBILITY_FACTOR + self.batch_window)
    }
}

/// The options of `dev` that a function and a consumer share.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    pub(super) once: bool,
    pub(super) folder: &'a Path,
    pub(super) log: &'a str,
}

/// The function behind the queue. It is checked before the queue is served.
pub(super) struct Behind<'a> {
    args: &'a MappingArgs,
    mapping: Mapping,
    function: Function,
    visibility: Duration,
}

impl<'a> Behind<'a> {
    pub(super) fn new(bootstrap: &Path, args: &'a MappingArgs) -> Result<Self, ExitError> {
        let mapping = args.mapping()?;
        let function = args.function.function(bootstrap).timeout(args.timeout);
        function.check().map_err(|problem| ExitError::usage(problem.to_string()))?;
        let visibility = args.visibility();
        if let Some(warning) = mapping.visibility_warning(args.timeout, visibility) {
            note(&warning);
        }
        Ok(Self { args, mapping, function, visibility })
    }

    /// Runs the function behind the queue until `stop` is ready; with `--once`, until the samples have ended.
    pub(super) async fn run(
        self,
        mut dev: Dev,
        options: Options<'_>,
        own: OwnDev,
        store: &DevStore,
        handlers: &Handle,
        stop: impl Future<Output = ()>,
    ) -> Result<ExitCode, ExitError> {
        let Self { args, mapping, function, visibility } = self;
        let Options { once, folder, log } = options;
        let shows_log = log != LOG_OFF;
        let mut attributes =
            BTreeMap::from([("VisibilityTimeout".to_owned(), visibility.as_secs().to_string())]);
        if args.fifo {
            attributes.insert("ContentBasedDeduplication".to_owned(), "true".to_owned());
        }
        let request = SetQueueAttributes { queue_url: dev.queue_url.clone(), attributes };
        let set = dev.endpoint().call(|sqs, now| sqs.set_queue_attributes(now, &request));
        set.map_err(|error| ExitError::usage(format!("--visibility-timeout: {error}")))?;

        let example = Example::of_any(&own.examples);
        let samples = Samples::prepare(folder, own, handlers).await?;
        let log = if shows_log { log } else { LEAST_LOG };
        let function = function
            .env("AWS_ENDPOINT_URL_SQS", &dev.server.endpoint_url())
            .env("DRUMLINE_RETRY", RETRY)
            .env("DRUMLINE_RETRY_JITTER", "none")
            .env("DRUMLINE_LOG", log)
            .env("DRUMLINE_LOG_FORMAT", "json")
            .env("DRUMLINE_EMF", "off");
        let function =
            samples.variables.iter().fold(function, |function, (name, value)| function.env(name, value));
        let mut kept = BTreeMap::new();
        store.add_to(&mut kept);
        let function = kept.iter().fold(function, |function, (key, value)| {
            function.env(&format!("DRUMLINE_{}", key.to_uppercase()), value)
        });
        dev.histories = store.notice(program());
        let function = args.function.with_variables(function).logs(dev.logs(shows_log));
        let function = if shows_log { function.reports(dev.logs(true)) } else { function };

        dev.send(&samples.jobs)?;
        let (failed, mut not_started) = mpsc::unbounded_channel();
        let view = Arc::clone(&dev.view);
        let observer = Arc::new(move |event: MappingEvent<'_>| {
            if let MappingEvent::Invoked { invoked, .. } = event
                && let Err(failure) = &invoked.result
                && failure.kind == FailureKind::Init
            {
                // If the channel is full, another failure has already ended the command.
                let _ = failed.send(explained(failure));
            }
            view.mapped(event);
        });
        let mapped = MappedQueue::new(mapping, dev.endpoint(), dev.names.queue, Arc::new(function), observer);
        let mut problem = None;
        let stopped = async {
            // Cancel-safe: the branches that lose only observe.
            tokio::select! {
                Some(failure) = not_started.recv() => problem = Some(ExitError::other(failure)),
                shown = dev.present(once, samples.folder.as_deref(), &example, stop) => {
                    problem = shown.err();
                }
            }
        };
        let result = mapped.run(stopped).await;
        dev.view.clear();
        result.map_err(|error| ExitError::other(error.to_string()))?;
        problem.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

/// Returns the text of a failed start, with a remedy for a function whose build lacks the store of `dev`.
fn explained(failure: &Failure) -> String {
    let hint = if failure.message.contains(STORE) {
        format!(
            "\nBuild the function with the feature `file`, or choose another store: --env {STORE}=memory:"
        )
    } else {
        String::new()
    };
    format!("{failure}{hint}")
}

/// The sample jobs, and the variables with which a function finds their files.
struct Samples {
    jobs: Vec<DevJob>,
    variables: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

impl Samples {
    async fn prepare(folder: &Path, own: OwnDev, handlers: &Handle) -> Result<Self, ExitError> {
        let Some(prepare) = own.prepare else {
            return Ok(Self { jobs: Vec::new(), variables: Vec::new(), folder: None });
        };
        let owned = folder.to_owned();
        let prepared = make_on(handlers, async move { prepare(&owned) }).await;
        let (_, jobs) = prepared.map_err(|error| ExitError::other(error.to_string()))?;
        let folder = folder.canonicalize()?;
        let variables = own.variables.map(|variables| variables(&folder)).unwrap_or_default();
        Ok(Self { jobs, variables, folder: Some(folder) })
    }
}

impl Dev {
    /// Returns a sink that takes the reasons of failures from a function's log. Lines that `dev` alone needs are not shown,
    /// unless `shows_all` is true.
    fn logs(&self, shows_all: bool) -> LogSink {
        let view = Arc::clone(&self.view);
        LogSink::new(move |line| match function_log::read(line) {
            Line::Foreign => view.print(line),
            Line::OfDrumline(reason) => {
                if let Some((message_id, reason)) = reason {
                    view.reason_logged(&message_id, &reason);
                }
                if shows_all {
                    view.print(line);
                }
            }
        })
    }
}
