//! `drumline dlq watch`: reports each new reason in a DLQ once.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use drumline::run::NoopObserver;
use drumline_consumer::ExitError;
use drumline_consumer::dlq_watch::{AlertTarget, Alerts, DlqWatch, LetterHistory, LetterJob, SqsLetters};
use drumline_dlq::Letter;
use drumline_dlq::alert::{Alert, Template};
use drumline_runtime::{DeadJobs, DlqWatchSettings, Environment, Settings, Store};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use super::archive::Archive;
use super::common::QueueArgs;
use super::dead_letter::history_of;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use crate::format::{duration, note, now_ms, one_line, rfc3339};
use crate::interrupt::unless_interrupted;
use crate::job_lookup::Histories;
use crate::output::{Output, print};

/// The shortest time between two requests for the depth.
const SHORTEST: Duration = Duration::from_secs(1);

/// Reports new reasons in a DLQ, each once, until it is stopped
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq watch --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {program} dlq watch --alert https://hooks.slack.com/services/T0/B0/XXXX
  {program} dlq watch --alert arn:aws:sns:eu-west-1:123456789012:alerts --quiet 6h
  {program} dlq watch --archive letters.jsonl
  {program} dlq watch --once --output json

The command regularly asks SQS for the depth of the DLQ. If the depth has grown, it reads the new letters, at most once a minute and at \
most 500 at a time. If there are more, the numbers are a sample, and alerts say \"at least\". Letters whose reasons differ only in \
numbers, ids, quotes and the like have the same fingerprint. The command reports a fingerprint when it is new, and after that at most once \
per --quiet, with the number of letters that arrived in the meantime. Letters that are in the DLQ at the start count as new.

An alert is a POST of JSON with the fields text, dlq, origin, type, class, fingerprint, reason, count, isSample, isNew, firstAt, depth, \
otherFingerprints and otherLetters; or a message to an SNS topic with the same JSON. Reasons are masked, and an alert contains no \
payloads. --template names a JSON file to send instead. In its texts, the command replaces {{text}}, and every other field name in double \
braces, with the value of the field.

--archive adds each new letter to an export, including its body, as `dlq export` does; `replay --from` reads it. The command appends to an \
existing file, and deletes no letters from the DLQ. For the archive, it receives every letter of the DLQ: at most once a minute while the \
DLQ grows, and less often if one pass takes long.

If DRUMLINE_DEAD_JOB_WEBHOOK is set, the command also calls that webhook for each letter, including letters that are in the DLQ at the \
start. It skips a letter if the store (DRUMLINE_STORE_URL) shows that a worker has already called the webhook. Without such a store, each \
start calls the webhook for all letters again, with the same keys.

With DRUMLINE_DLQ_WATCH=on, the workers watch the DLQ themselves; of the workers that share a store, one does so. Workers know the \
failures of their own jobs, so for these they do not receive from the DLQ.

The command needs sqs:GetQueueAttributes on the DLQ, and to read letters also sqs:ReceiveMessage and sqs:ChangeMessageVisibility. Without \
--dlq-url, it also needs sqs:GetQueueUrl on the DLQ and sqs:GetQueueAttributes on the source queue. A topic needs sns:Publish, and an \
archive in S3 needs s3:PutObject. Encrypted queues need kms:Decrypt.

Exit status: 0 done with --once, 130 stopped, 64 bad usage, 69 the queue cannot be reached, or with --once an alert was not delivered or \
the webhook for dead jobs failed.")]
pub(super) struct WatchArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[arg(long, value_name = "DURATION", value_parser = duration, help = "Ask for the depth at this interval [default: 30s, or DRUMLINE_DLQ_WATCH_EVERY]")]
    every: Option<Duration>,
    #[arg(long, value_name = "DURATION", value_parser = duration, help = "Report a known reason again only after this time [default: 1h]")]
    quiet: Option<Duration>,
    #[arg(
        long,
        value_name = "URL|ARN",
        help = "Send alerts to this webhook or SNS topic [env: DRUMLINE_DLQ_ALERT_TO]"
    )]
    alert: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "Fill in this JSON file and send it [env: DRUMLINE_DLQ_ALERT_TEMPLATE]"
    )]
    template: Option<PathBuf>,
    /// Add each new letter, with its body, to this file or place in S3
    #[arg(long, value_name = "FILE|s3://BUCKET/PREFIX")]
    archive: Option<String>,
    /// Check the DLQ once, report, and exit
    #[arg(long)]
    once: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn watch(args: &WatchArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.queue.settings.read_for_tool(environment)?;
    let alerts = args.alerts(&settings.dlq_watch).await?;
    let every = args.every.unwrap_or(settings.dlq_watch.every).max(SHORTEST);
    let quiet = args.quiet.unwrap_or(settings.dlq_watch.quiet);
    let mut queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let history = match Histories::open(&settings).await {
        Ok(histories) => Some(histories),
        Err(error) => {
            note(&format!("no histories, so reasons are known of copied messages only: {}", error.text()));
            None
        }
    };
    let history_store = history.as_ref().and_then(Histories::store);
    let (sender, reported) = unbounded_channel();
    let letters = SqsLetters::new(queue.clients.clone(), queue.url.clone(), Arc::new(NoopObserver));
    let watch = DlqWatch::new(
        queue.name.clone(),
        Arc::new(letters),
        Arc::new(LookedUp(history)),
        queue.intake.clone(),
        true,
    )
    .timing(every, quiet)
    .on_alert(move |alert| drop(sender.send(alert.clone())))
    .on_problem(note)
    .dead_jobs(webhook(&settings, history_store));
    let watch = if let Some(alerts) = alerts { watch.alerts(alerts) } else { watch };
    let mut watch = if args.queue.force { watch.may_move_letters() } else { watch };
    let archive = args.archive.as_deref().map(|target| Archive::open(target, &queue)).transpose()?;
    let mut archiving = match archive {
        Some(archive) => Some((archive, ReasonLookup::open(&settings).await?)),
        None => None,
    };
    if args.once {
        let depth = watch.once().await.map_err(|error| ExitError::sqs(error.kind, error.text))?;
        follow(&mut archiving, depth, &mut queue).await?;
        let (undelivered, uncalled) = (watch.undelivered(), watch.uncalled());
        drop(watch);
        let ended = report(reported, args.output).await?;
        if uncalled > 0 {
            let text = format!("dead_job_webhook has not accepted letters: {uncalled}");
            return Err(ExitError::unavailable(text));
        }
        return match undelivered {
            0 => Ok(ended),
            alerts => Err(ExitError::unavailable(format!("alerts not delivered: {alerts}"))),
        };
    }
    note(&format!("watching {} every {}; Ctrl-C ends it", queue.name, humantime::format_duration(every)));
    let watching = async {
        let mut timer = interval(every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let turn = async {
                timer.tick().await;
                Ok(watch.turn().await)
            };
            if let Some(depth) = unless_interrupted(turn).await? {
                // It releases the letters that it holds if it is interrupted.
                follow(&mut archiving, depth, &mut queue).await?;
            }
        }
    };
    tokio::select! {
        ended = report(reported, args.output) => ended,
        ended = watching => ended,
    }
}

/// The hook of the settings, which is called for each letter. A store has the marks of those for which it was called.
fn webhook(settings: &Settings, store: Option<Arc<dyn Store>>) -> Option<DeadJobs> {
    let webhook = settings.dead_job_webhook.as_ref()?;
    Some(DeadJobs::new(webhook.hook(None), store))
}

/// Adds the new letters to the archive, if there is one.
async fn follow(
    archiving: &mut Option<(Archive, ReasonLookup)>,
    depth: u64,
    queue: &mut DeadLetterQueue,
) -> Result<(), ExitError> {
    match archiving {
        Some((archive, reasons)) => archive.follow(depth, queue, reasons).await,
        None => Ok(()),
    }
}

impl WatchArgs {
    async fn alerts(&self, settings: &DlqWatchSettings) -> Result<Option<Alerts>, ExitError> {
        let template = match &self.template {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                ExitError::usage(format!("--template: {} cannot be read: {error}", path.display()))
            })?),
            None => settings.alert_template.clone(),
        };
        let template = template.as_deref().map(Template::parse).transpose().map_err(ExitError::usage)?;
        let target = match self.alert.as_deref().map(AlertTarget::parse).transpose() {
            Ok(given) => given.or_else(|| settings.alert_to.clone()),
            Err(problem) => return Err(ExitError::usage(format!("--alert {problem}"))),
        };
        let Some(target) = target else { return Ok(None) };
        Alerts::new(target, template).await.map(Some).map_err(ExitError::usage)
    }
}

/// Prints alerts as they arrive, until there are no more.
async fn report(mut alerts: UnboundedReceiver<Alert>, output: Output) -> Result<ExitCode, ExitError> {
    while let Some(alert) = alerts.recv().await {
        print(|out| match output {
            Output::Json => out.json_line(&alert.document()),
            Output::Table => writeln!(out, "{}  {}", rfc3339(now_ms()), one_line(&alert.text())),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The histories of the store or of the worker, if either answers.
struct LookedUp(Option<Histories>);

impl LetterHistory for LookedUp {
    fn of<'a>(&'a self, letter: &'a Letter) -> LetterJob<'a> {
        Box::pin(async move {
            let Some(histories) = &self.0 else { return Ok(None) };
            let found = history_of(letter, histories).await;
            found.map(|found| found.map(|view| view.job)).map_err(|error| error.text().to_owned())
        })
    }
}
