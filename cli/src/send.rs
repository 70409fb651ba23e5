//! `drumline send`: jobs into a queue, one from the command line or many from standard input.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use drumline::message::{Attribute, Envelope};
use drumline_consumer::ExitError;
use drumline_contract::guards::Guards;
use drumline_producer::{
    Attributes, Checked, Checks, NewJob, Outgoing, Packer, SendError, SendOptions, attribute, attributes,
    send_batch,
};
use drumline_runtime::aws::{Clients, is_fifo, queue_name, queue_url};
use drumline_runtime::{Environment, Service, runtimes};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

use crate::connection::connect_to;
use crate::format::{note, one_line};
use crate::output::{Output, print};
use crate::service::make_router;

/// The longest input line: a message of 1 MiB, all of it escaped.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// The variable of the queue where no flag names one.
const QUEUE_URL: &str = "DRUMLINE_QUEUE_URL";

/// The variable of forward mode, in which no handlers are made.
const FORWARD_TO: &str = "DRUMLINE_FORWARD_TO";

/// The version of a payload that states none.
const FIRST_VERSION: u32 = 1;

/// Sends jobs to a queue
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} send --queue-url URL --type email.send --payload '{\"userId\":7}'
  {program} send --queue-url URL --type email.send --payload @payload.json
  {program} send --queue-url URL < jobs.jsonl            (a whole job a line)
  {program} send --queue-url URL --type email.send < payloads.jsonl

  {program} send --queue-url URL --type email.send --payload '{}' --attribute tenant=acme --delay 5m
  {program} jobs watch $({program} send --queue-url URL --type email.send --payload '{}')

It prints the job ids, one a line, by which `{program} jobs` and `{program} dlq` find the jobs.

Exit status: 0 all sent, 64 some input was refused before sending, 69 the queue cannot be reached, 1 SQS did not take some.")]
pub(crate) struct SendArgs {
    #[arg(long, value_name = "URL", help = "The queue [env: DRUMLINE_QUEUE_URL]")]
    queue_url: Option<String>,
    /// The job's type; on standard input, of every line
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// The payload: JSON, - for standard input, @ for a file
    ///
    /// Without it, standard input holds a job a line.
    #[arg(long, value_name = "JSON|-|@FILE")]
    payload: Option<String>,
    /// The payload's version [default: the handler's, else 1]
    ///
    /// The default is the version of this program's handler for the type, or 1 if it has none.
    #[arg(long, value_name = "N")]
    schema_version: Option<u32>,
    /// The key under which the effect happens once [default: the job's id]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The id of what the job belongs to
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Hide the message first, for at most 15m; not on FIFO queues
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    /// The message group: required on FIFO queues, a fair-queue tenant on others
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The id by which a FIFO queue drops a second sending [default: a new one]
    #[arg(long, value_name = "ID")]
    deduplication_id: Option<String>,
    /// A message attribute; several may be given
    ///
    /// Such as tenant=acme, size:Number=7, doc:String.json={} or sum:Binary=AAEC (base64).
    #[arg(long = "attribute", value_name = "NAME[:TYPE]=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Attribute)>,
    /// Send also what looks like a secret
    ///
    /// No guard looks at the payloads then. DRUMLINE_GUARD_ALLOW names single fields that may have one.
    #[arg(long)]
    allow_secrets: bool,
    /// Job ids, or a JSON object a line
    ///
    /// The object has jobId, messageId, type and queue.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Sends what the arguments say. `handlers_optional` is true for a program that may run without handlers of its own.
pub(crate) fn send(
    args: &SendArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<ExitCode, ExitError> {
    let sender = Sender::new(args, environment)?;
    let version = match (args.schema_version, &args.job_type) {
        (Some(version), _) => version,
        (None, Some(job_type)) if environment.value(FORWARD_TO).is_none() => {
            version_of(job_type, service, handlers_optional)?
        }
        (None, _) => FIRST_VERSION,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Sender { version, ..sender }.send(args))
}

/// Returns the version of the handler for this type. Without a handler, it is the first one.
fn version_of(job_type: &str, service: Service, handlers_optional: bool) -> Result<u32, ExitError> {
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    Ok(match router {
        Ok(router) => {
            let known = router.job_types().find(|known| *known.name == *job_type);
            known.map_or(FIRST_VERSION, |known| known.version)
        }
        Err(problem) => {
            if !handlers_optional {
                note(&format!(
                    "schemaVersion is {FIRST_VERSION}, since the handler's is not known: {problem}"
                ));
            }
            FIRST_VERSION
        }
    })
}

/// The checks by the settings, or with no guard at all.
fn checks(args: &SendArgs, environment: &Environment) -> Result<Checks, ExitError> {
    if args.allow_secrets {
        return Ok(Checks::new(Guards::none()));
    }
    let settings = environment.settings_of_tool(&BTreeMap::new(), None);
    let settings = settings.map_err(|problems| ExitError::usage(problems.to_string()))?;
    Ok(Checks::from_settings(&settings.guards))
}

struct Sender<'a> {
    queue_url: Url,
    options: SendOptions,
    delay_secs: Option<u16>,
    group: Option<Arc<str>>,
    job_type: Option<&'a str>,
    version: u32,
    idempotency_key: Option<&'a str>,
    correlation_id: Option<&'a str>,
    deduplication_id: Option<&'a str>,
    attributes: Arc<Attributes>,
    checks: Checks,
    output: Output,
}

/// A job that was sent, on one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SentJob<'a> {
    job_id: &'a str,
    message_id: &'a str,
    #[serde(rename = "type")]
    job_type: &'a str,
    queue: &'a str,
}

/// What came of it so far.
#[derive(Default)]
struct Tally {
    sent: u64,
    failed: u64,
    refused: u64,
}

impl<'a> Sender<'a> {
    fn new(args: &'a SendArgs, environment: &Environment) -> Result<Self, ExitError> {
        let given = args.queue_url.clone().or_else(|| environment.value(QUEUE_URL));
        let url = given
            .ok_or_else(|| ExitError::usage(format!("no queue is given: set --queue-url or {QUEUE_URL}")))?;
        let queue_url = queue_url(&url).map_err(|error| ExitError::usage(format!("the queue: {error}")))?;
        let fifo = is_fifo(queue_url.path());
        let group = args.group.as_deref().map(Arc::from);
        if fifo && group.is_none() {
            return Err(ExitError::usage(
                "a FIFO queue needs --group: jobs of one group are done one after the other",
            ));
        }
        let delay_secs = args.delay.as_deref().map(delay_secs).transpose().map_err(ExitError::usage)?;
        if fifo && delay_secs.is_some() {
            return Err(ExitError::usage(
                "a FIFO queue takes no --delay for single messages, only for the whole queue",
            ));
        }
        let attributes = attributes(args.attributes.iter().cloned());
        let attributes = attributes.map_err(|error| ExitError::usage(format!("--attribute: {error}")))?;
        Ok(Self {
            queue_url,
            options: SendOptions { fifo, ..SendOptions::default() },
            delay_secs,
            group,
            job_type: args.job_type.as_deref(),
            version: FIRST_VERSION,
            idempotency_key: args.idempotency_key.as_deref(),
            correlation_id: args.correlation_id.as_deref(),
            deduplication_id: args.deduplication_id.as_deref(),
            attributes: Arc::new(attributes),
            checks: checks(args, environment)?,
            output: args.output,
        })
    }

    async fn send(mut self, args: &SendArgs) -> Result<ExitCode, ExitError> {
        let (clients, url) = connect_to(&self.queue_url, std::time::Duration::ZERO).await?;
        self.queue_url = url;
        let tally = match &args.payload {
            Some(payload) => self.send_payload(&clients, payload).await?,
            None => self.many(&clients).await?,
        };
        Ok(ExitCode::from(match tally {
            Tally { failed: 1.., .. } => 1,
            Tally { refused: 1.., .. } => 64,
            Tally { .. } => 0,
        }))
    }

    async fn send_payload(&self, clients: &Clients, payload: &str) -> Result<Tally, ExitError> {
        let text = read_payload(payload)
            .map_err(|error| ExitError::usage(format!("--payload {payload}: {error}")))?;
        if self.job_type.is_none() {
            return Err(ExitError::usage("--payload needs --type: which job is it?"));
        }
        let message =
            self.message(1, &text).map_err(|error| ExitError::usage(format!("the payload: {error}")))?;
        let mut tally = Tally::default();
        self.batch(clients, vec![message], &mut tally, &ProgressBar::hidden()).await?;
        Ok(tally)
    }

    async fn many(&self, clients: &Clients) -> Result<Tally, ExitError> {
        if self.idempotency_key.is_some() || self.deduplication_id.is_some() {
            return Err(ExitError::usage(
                "--idempotency-key and --deduplication-id are for one job, given by --payload",
            ));
        }
        let (mut input, mut packer, mut tally) =
            (std::io::stdin().lock(), Packer::default(), Tally::default());
        if input.is_terminal() {
            note("reading jobs from the terminal, one JSON object a line; Ctrl-D ends");
        }
        let bar = progress_bar();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
            if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            if text.trim().is_empty() {
                continue;
            }
            match self.message(number, text.trim()) {
                Ok(message) => {
                    if let Some(batch) = packer.push(message) {
                        self.batch(clients, batch, &mut tally, &bar).await?;
                    }
                }
                Err(error) => {
                    tally.refused += 1;
                    bar.suspend(|| note(&format!("line {number} is not sent: {error}")));
                }
            }
        }
        if let Some(batch) = packer.finish() {
            self.batch(clients, batch, &mut tally, &bar).await?;
        }
        bar.finish_and_clear();
        let Tally { sent, failed, refused } = tally;
        note(&format!("{sent} sent, {failed} not taken by SQS, {refused} refused before sending"));
        Ok(tally)
    }

    /// A line is a whole job, or with `--type` its payload.
    fn message(&self, line: usize, text: &str) -> Result<Outgoing, String> {
        let json: &RawValue = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let body = match self.job_type {
            None => json.get().to_owned(),
            Some(job_type) => NewJob {
                schema_version: self.version,
                idempotency_key: self.idempotency_key,
                correlation_id: self.correlation_id,
                ..NewJob::new(job_type, json)
            }
            .to_body(),
        };
        let checked = self.checks.check(&body, &self.attributes).map_err(|error| error.to_string())?;
        let Checked { envelope: Envelope { job_type, job_id, .. }, warnings, .. } = checked;
        for warning in warnings {
            note(&format!("warning: {warning}"));
        }
        let deduplication_id =
            self.deduplication_id.map_or_else(|| ulid::Ulid::generate().to_string(), str::to_owned);
        let (attributes, group) = (Arc::clone(&self.attributes), self.group.clone());
        let delay_secs = self.delay_secs;
        Ok(Outgoing {
            line,
            body,
            attributes,
            deduplication_id,
            group,
            delay_secs,
            job_type,
            job_id,
            trace_header: None,
        })
    }

    async fn batch(
        &self,
        clients: &Clients,
        batch: Vec<Outgoing>,
        tally: &mut Tally,
        bar: &ProgressBar,
    ) -> Result<(), ExitError> {
        let results = send_batch(&clients.calls, self.queue_url.as_str(), &self.options, batch).await;
        let (results, error) = match results {
            Ok(results) => (results, None),
            Err(SendError { error, done, .. }) => (done, Some(error)),
        };
        for (message, result) in results {
            match result {
                Ok(id) => {
                    tally.sent += 1;
                    bar.inc(1);
                    bar.suspend(|| self.print_sent(&message, &id))?;
                }
                Err(error) => {
                    tally.failed += 1;
                    bar.suspend(|| note(&format!("line {}: {error}", message.line)));
                }
            }
        }
        let Some(error) = error else { return Ok(()) };
        bar.finish_and_clear();
        let error = clients.in_context(error).await;
        Err(ExitError::sqs(error.kind, format!("{} sent before this: {error}", tally.sent)))
    }

    /// A job without an id of its own is known by that of its message.
    fn print_sent(&self, message: &Outgoing, message_id: &str) -> Result<(), ExitError> {
        let job_id = message.job_id.as_deref().unwrap_or(message_id);
        let job_type = message.job_type.as_str();
        let queue = queue_name(self.queue_url.as_str());
        print(|out| match self.output {
            Output::Table => writeln!(out, "{}", one_line(job_id)),
            Output::Json => out.json_line(&SentJob { job_id, message_id, job_type, queue }),
        })
    }
}

fn read_payload(payload: &str) -> std::io::Result<String> {
    match payload.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path),
        None if payload == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Ok(text)
        }
        None => Ok(payload.to_owned()),
    }
}

/// SQS's delays are whole seconds up to 15 minutes. See
/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
fn delay_secs(text: &str) -> Result<u16, String> {
    let delay = humantime::parse_duration(text)
        .map_err(|_| format!("--delay {text:?} is not a duration such as 30s"))?;
    if delay.as_secs() > 900 || delay.subsec_nanos() > 0 {
        return Err("SQS delays a message by whole seconds, at most 15m".to_owned());
    }
    u16::try_from(delay.as_secs()).map_err(|error| error.to_string())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {pos} sent, {per_sec}").expect("the template is sound");
    ProgressBar::new_spinner().with_style(style)
}
