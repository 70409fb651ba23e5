//! A relay as a process: logs, signals, the HTTP endpoint, and additional work.

use std::future::Future;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::{ExitError, RelayEndpoint, Signals};
use drumline_producer::outbox::{Relay, RelaySummary};
use drumline_producer::{ConnectError, Producer};
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{Environment, Setting, Settings, runtimes};
use drumline_store::outbox::Outbox;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::format::duration;
use crate::opened_outbox::OpenedOutbox;
use crate::settings_args::{Choice, SettingsArgs, ShownIn};

/// The number of attempts to open an outbox at the start, and the wait between them: long enough for a container's network to
/// start, short enough to report a wrong setting quickly.
const START_TRIES: u32 = 3;
const START_WAIT: Duration = Duration::from_secs(1);

/// The shortest lease that leaves time for a request, and the longest that anyone should wait for the jobs of a killed relay.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// The flags of a command that runs a relay.
#[derive(Debug, clap::Args)]
pub(crate) struct RelayArgs {
    /// The time after which other relays take a killed relay's jobs: 1s to 10m
    ///
    /// The relay aborts requests to SQS before this time has passed, and renews the leases of its jobs as often as needed.
    #[arg(long, value_name = "DURATION", value_parser = lease, default_value = "30s")]
    lease: Duration,
    #[command(flatten)]
    settings: SettingsArgs<RelaySettings>,
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if LEASES.contains(&lease) { Ok(lease) } else { Err("must be a duration from 1s to 10m".to_owned()) }
}

impl RelayArgs {
    /// Reads the settings. They need no queue, because jobs may name theirs.
    pub(crate) fn settings(&self, environment: &Environment) -> Result<Settings, ExitError> {
        self.settings.read_for_tool(environment)
    }
}

/// The settings of a relay.
#[derive(Debug)]
pub(crate) enum RelaySettings {}

impl Choice for RelaySettings {
    fn includes(key: &str) -> bool {
        const OTHERS: [&str; 8] =
            ["queue_url", "store_url", "http_addr", "emf", "log", "log_format", "guards", "guard_allow"];
        OTHERS.contains(&key) || key.starts_with("outbox_") || key.starts_with("payload_")
    }

    fn shown(setting: &Setting) -> ShownIn {
        match setting.key {
            "queue_url" | "outbox_url" | "http_addr" | "log" => ShownIn::BothHelps,
            _ => ShownIn::LongHelp,
        }
    }
}

/// Relays the outbox of the settings until SIGTERM or Ctrl-C, then sends the jobs in hand. A second signal ends the process
/// immediately.
///
/// `beside` works on the same outbox meanwhile. It receives a future that completes with the first signal, and must end soon
/// after that.
pub(crate) fn run<F: Future<Output = ()>>(
    args: &RelayArgs,
    settings: &Settings,
    beside: impl FnOnce(Arc<dyn Outbox>, Stopped) -> F,
) -> Result<ExitCode, ExitError> {
    logging::init(settings.log_format, &settings.log, Spans::Innermost);
    in_runtime(relay(args, settings, beside))?;
    Ok(ExitCode::SUCCESS)
}

/// Sends the due jobs in the outbox of the settings.
pub(crate) fn drain(args: &RelayArgs, settings: &Settings) -> Result<RelaySummary, ExitError> {
    logging::init(settings.log_format, &settings.log, Spans::Innermost);
    in_runtime(async {
        let opened = OpenedOutbox::of(settings).await?;
        let producer = producer(settings).await?;
        let drained = Relay::new(Arc::clone(&opened.outbox), producer).lease(args.lease).drain().await;
        drained.map_err(|error| opened.error(&error))
    })
}

/// Completes with the first signal.
pub(crate) type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn in_runtime<T>(work: impl Future<Output = Result<T, ExitError>>) -> Result<T, ExitError> {
    let (io, others) = runtimes()?;
    // The future is large, and its owner moves it.
    let result = io.block_on(Box::pin(work));
    others.shutdown_background();
    io.shutdown_background();
    result
}

async fn relay<F: Future<Output = ()>>(
    args: &RelayArgs,
    settings: &Settings,
    beside: impl FnOnce(Arc<dyn Outbox>, Stopped) -> F,
) -> Result<(), ExitError> {
    let signals = Signals::catch()?;
    let mut stop = std::pin::pin!(signals.first());
    let started = tokio::select! {
        started = start(settings) => started?,
        // No job has been taken yet.
        () = &mut stop => return Ok(()),
    };
    let (OpenedOutbox { outbox, url }, producer, endpoint) = started;
    info!(outbox = %url, "relaying");
    let (stopping, stopped) = watch::channel(false);
    let stopped = || -> Stopped {
        let mut stopped = stopped.clone();
        // The sender lives until both have ended, so the wait ends only with the stop signal.
        Box::pin(async move { drop(stopped.wait_for(|stop| *stop).await) })
    };
    let relay = Relay::new(Arc::clone(&outbox), producer).lease(args.lease).observed(endpoint.observer());
    let relay = relay.run(stopped());
    let first_signal = async {
        stop.await;
        endpoint.drain();
        stopping.send_replace(true);
    };
    let (summary, (), ()) = tokio::join!(relay, beside(outbox, stopped()), first_signal);
    endpoint.close().await;
    let RelaySummary { sent, put_back, parked, .. } = summary;
    info!(sent, put_back, parked, "stopped");
    Ok(())
}

async fn start(settings: &Settings) -> Result<(OpenedOutbox, Producer, RelayEndpoint), ExitError> {
    let opened = open_with_retry(settings).await?;
    let producer = producer(settings).await?;
    let endpoint = RelayEndpoint::serve(settings, Arc::clone(&opened.outbox)).await?;
    Ok((opened, producer, endpoint))
}

async fn open_with_retry(settings: &Settings) -> Result<OpenedOutbox, ExitError> {
    let mut tries = 1;
    loop {
        match OpenedOutbox::of(settings).await {
            Err(error) if tries < START_TRIES && error.is_unavailable() => {
                warn!(%error, "the outbox does not answer yet");
                tries += 1;
                tokio::time::sleep(START_WAIT).await;
            }
            result => return result,
        }
    }
}

async fn producer(settings: &Settings) -> Result<Producer, ExitError> {
    Producer::from_settings(settings).await.map_err(|error| match &error {
        ConnectError::Queue(queue) => ExitError::sqs(queue.kind, error.to_string()),
        _ => ExitError::usage(error.to_string()),
    })
}
