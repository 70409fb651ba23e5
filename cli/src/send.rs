//! `drumline send`: jobs into a queue, one from the command line or many from standard input.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_producer::{NewJob, Outgoing, Packer, SendOptions, check, send_batch};
use drumline_runtime::Environment;
use drumline_runtime::aws::{Clients, is_fifo, queue_url};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use url::Url;

use crate::connection::connect_to;
use crate::format::note;

/// The longest input line: a message of 1 MiB, all of it escaped.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// The variable of the queue where no flag names one.
const QUEUE_URL: &str = "DRUMLINE_QUEUE_URL";

/// Sends jobs to a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  {program} send --queue-url URL --type email.send --payload '{\"userId\":7}'
  {program} send --queue-url URL --type email.send --payload @payload.json
  {program} send --queue-url URL < jobs.jsonl            (a whole job a line)
  {program} send --queue-url URL --type email.send < payloads.jsonl

Prints the message ids, one a line. Exit status: 0 all sent, 64 some input was refused before sending,
69 the queue cannot be reached, 1 SQS did not take some.")]
pub(crate) struct SendArgs {
    #[arg(long, value_name = "URL", help = "The queue [env: DRUMLINE_QUEUE_URL]")]
    queue_url: Option<String>,
    /// The job's type; on standard input, of every line
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// The payload: JSON, - for standard input, @ for a file. Without it, standard input holds a job a line
    #[arg(long, value_name = "JSON|-|@FILE")]
    payload: Option<String>,
    /// The payload's version
    #[arg(long, value_name = "N", default_value_t = 1)]
    schema_version: u32,
    /// The key under which the effect happens once [default: the job's id]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The id of what the job belongs to
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// SQS hides the message first, for at most 15m; not on FIFO queues
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    /// The message group: required on FIFO queues, a fair-queue tenant on others
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The id by which a FIFO queue drops a second sending [default: a new one]
    #[arg(long, value_name = "ID")]
    deduplication_id: Option<String>,
    /// Send what looks like a secret all the same
    #[arg(long)]
    allow_secrets: bool,
}

pub(crate) fn send(args: &SendArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Sender::new(args, environment)?.send(args))
}

struct Sender<'a> {
    queue_url: Url,
    options: SendOptions,
    job_type: Option<&'a str>,
    version: u32,
    idempotency_key: Option<&'a str>,
    correlation_id: Option<&'a str>,
    deduplication_id: Option<&'a str>,
    allow_secrets: bool,
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
        let group = args.group.clone();
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
        Ok(Self {
            queue_url,
            options: SendOptions { delay_secs, group, fifo },
            job_type: args.job_type.as_deref(),
            version: args.schema_version,
            idempotency_key: args.idempotency_key.as_deref(),
            correlation_id: args.correlation_id.as_deref(),
            deduplication_id: args.deduplication_id.as_deref(),
            allow_secrets: args.allow_secrets,
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
        check(&body, self.allow_secrets)?;
        let deduplication_id =
            self.deduplication_id.map_or_else(|| ulid::Ulid::generate().to_string(), str::to_owned);
        Ok(Outgoing { line, body, deduplication_id })
    }

    async fn batch(
        &self,
        clients: &Clients,
        batch: Vec<Outgoing>,
        tally: &mut Tally,
        bar: &ProgressBar,
    ) -> Result<(), ExitError> {
        let results = send_batch(&clients.calls, self.queue_url.as_str(), &self.options, batch).await;
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                bar.finish_and_clear();
                let error = clients.in_context(error).await;
                return Err(ExitError::sqs(error.kind, format!("{} sent before this: {error}", tally.sent)));
            }
        };
        for (message, result) in results {
            match result {
                Ok(id) => {
                    tally.sent += 1;
                    bar.inc(1);
                    bar.suspend(|| writeln!(std::io::stdout(), "{id}"))?;
                }
                Err(error) => {
                    tally.failed += 1;
                    bar.suspend(|| note(&format!("line {}: {error}", message.line)));
                }
            }
        }
        Ok(())
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
fn delay_secs(text: &str) -> Result<i32, String> {
    let delay = humantime::parse_duration(text)
        .map_err(|_| format!("--delay {text:?} is not a duration such as 30s"))?;
    if delay.as_secs() > 900 || delay.subsec_nanos() > 0 {
        return Err("SQS delays a message by whole seconds, at most 15m".to_owned());
    }
    i32::try_from(delay.as_secs()).map_err(|error| error.to_string())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {pos} sent, {per_sec}").expect("the template is sound");
    ProgressBar::new_spinner().with_style(style)
}
