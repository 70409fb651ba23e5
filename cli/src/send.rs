//! `drumline send`: sends jobs to a queue, one from the command line or many from a file or standard input.
//!
//! - [`args`]: the command line
//! - [`input`], [`columns`], [`quotes`], [`record`], [`repeats`]: the records of JSON Lines and CSV
//! - [`queues`]: the queue of each job type
//! - [`later`], [`row`], [`waiting`]: jobs that wait in an outbox
//! - [`maker`], [`ids`], [`handlers`], [`schemas`]: the message of a record, and its checks
//! - [`journal`], [`confirmed`]: the records that SQS has confirmed, for `--resume`
//! - [`run`], [`sent_job`], [`left`], [`progress`]: the loop, and what it prints and leaves

mod args;
mod columns;
mod confirmed;
mod handlers;
mod ids;
mod input;
mod journal;
mod later;
mod left;
mod maker;
mod progress;
mod queues;
mod quotes;
mod record;
mod repeats;
mod row;
mod run;
mod schemas;
mod sent_job;
mod waiting;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{IsTerminal, Read, Seek};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_contract::guards::Guards;
use drumline_producer::{Checks, PayloadStore, attributes};
use drumline_runtime::aws::queue_url;
use drumline_runtime::{Environment, GuardMode, Service, Settings};

use args::Format;
pub(crate) use args::SendArgs;
use columns::Columns;
use handlers::handlers;
use ids::Ids;
use input::{Bytes, Lines, Records, Rows};
use journal::{Begin, Journal};
use left::Left;
use maker::{Maker, check_options};
use progress::Progress;
use queues::{Queue, Queues};
use quotes::Quotes;
use record::{Content, Field, Fields};
use run::{Interrupt, Paced, Run, Tally};
use schemas::Schemas;

use crate::format::note;
use crate::interrupt::interrupted;
use crate::telemetry::Telemetry;

/// Sends the jobs that the arguments name. `handlers_optional` is true for a program that may run without its own handlers.
pub(crate) fn send(
    args: &SendArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<ExitCode, ExitError> {
    check_usage(args)?;
    let attributes = attributes(args.attributes.iter().cloned());
    let attributes = attributes.map_err(|error| ExitError::usage(format!("--attribute: {error}")))?;
    let settings = settings(args, environment)?;
    let checks = if args.allow_secrets {
        Checks::new(Guards::none())
    } else {
        Checks::from_settings(&settings.guards)
    };
    let payloads = &settings.payloads;
    let queues = match &args.queue_url {
        Some(given) => {
            let url = queue_url(given).map_err(|error| ExitError::usage(format!("the queue: {error}")))?;
            Queues::one(url)
        }
        None => Queues::of_settings(&settings)?,
    };
    let maker = Maker {
        args,
        queues,
        handlers: handlers(args, environment, service, handlers_optional)?,
        checks,
        threshold: PayloadStore::is_wanted(payloads).then_some(payloads.threshold),
        attributes: Arc::new(attributes),
        ids: Ids::new(),
        marks_jobs: args.file().is_some(),
        has_outbox: settings.outbox_url.is_some(),
        noted: RefCell::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = Telemetry::start();
        let sent = match &args.payload {
            Some(payload) => one(maker, &settings, payload).await,
            None => Box::pin(many(maker, &settings)).await,
        };
        telemetry.flush().await;
        sent
    })
}

/// Sends the job of `--payload`.
async fn one(mut maker: Maker<'_>, settings: &Settings, payload: &str) -> Result<ExitCode, ExitError> {
    let args = maker.args;
    if let Some(job_type) = &args.job_type {
        maker.queues = maker.queues.only(job_type)?;
    }
    check_options(args, &maker.queues.fifos(), maker.has_outbox, |_| false)?;
    let content = payload_of(args, payload)?;
    let made = maker.make(1, 1, &content);
    let made = made.map_err(|error| ExitError::usage(format!("the payload: {error}")))?;
    let queues = maker.queues.connect().await?;
    let mut run = parts(maker, queues, settings)?;
    run.one(made).await?;
    if run.tally.waiting > 0 {
        note("it is in the outbox: a relay (outbox run) sends it when it is due");
    }
    Ok(ExitCode::from(run.tally.status()))
}

/// Sends the jobs of a file or of standard input.
async fn many(mut maker: Maker<'_>, settings: &Settings) -> Result<ExitCode, ExitError> {
    let args = maker.args;
    let mut records = open(args, &maker.handlers.schemas)?;
    if let Some(job_type) = args.job_type.as_ref().filter(|_| !records.gives(Field::Type)) {
        maker.queues = maker.queues.only(job_type)?;
    }
    check_options(args, &maker.queues.fifos(), maker.has_outbox, |field| records.gives(field))?;
    let queues = maker.queues.connect().await?;
    let identity = maker.queues.identity(&queues);
    let mut journal = args.file().map(|file| open_journal(args, file, &identity)).transpose()?;
    if let Some(journal) = &mut journal {
        remove_rest(args, journal)?;
    }
    let delimiter = args.delimiter();
    let left = args.failed.as_ref().map(|path| Left::new(path, records.header(), delimiter, args.resume));
    let left = left.transpose()?;
    if let Some(journal) = &journal {
        note(&format!("the journal is {}", journal.path.display()));
        maker.ids = Ids::of(journal.send_id()?);
    }
    let mut run = Run {
        interrupt: if journal.is_some() { Box::pin(interrupted()) } else { never() },
        progress: Progress::new(journal.as_ref().map(|journal| journal.header.file.bytes)),
        left,
        journal,
        pace: args.rate.map(Paced::new),
        ..parts(maker, queues, settings)?
    };
    let result = run.all(&mut records).await;
    run.progress.end();
    note(&run.tally.summary());
    if let Some(hint) = hint(&run, result.is_ok()) {
        note(&hint);
    }
    result?;
    Ok(ExitCode::from(run.tally.status()))
}

/// Returns a send without a journal.
fn parts<'a>(maker: Maker<'a>, queues: Vec<Queue>, settings: &'a Settings) -> Result<Run<'a>, ExitError> {
    let store = maker.threshold.map(|_| PayloadStore::new(&settings.payloads, &queues[0].clients.config));
    Ok(Run {
        queues,
        output: maker.args.output,
        maker,
        store: store.transpose().map_err(ExitError::usage)?,
        journal: None,
        left: None,
        progress: Progress::new(None),
        interrupt: never(),
        pace: None,
        tally: Tally::default(),
        settings,
        outbox: None,
        waiting: HashMap::new(),
    })
}

/// Returns an interrupt that never comes: signals end the process directly, because a blocking read of standard input would
/// delay a handler.
fn never() -> Interrupt {
    Box::pin(std::future::pending())
}

/// Refuses flags that apply only to a single job, or only to a file.
fn check_usage(args: &SendArgs) -> Result<(), ExitError> {
    let for_one = [
        ("--idempotency-key", "idempotencyKey", args.idempotency_key.is_some()),
        ("--deduplication-id", "deduplicationId", args.deduplication_id.is_some()),
    ];
    if let Some((flag, field, _)) =
        for_one.into_iter().find(|(.., is_given)| *is_given && args.payload.is_none())
    {
        return Err(ExitError::usage(format!(
            "{flag} is for one job, given by --payload: in CSV, --column {field}=NAME gives each job its own"
        )));
    }
    if args.file().is_none() && (args.resume || args.journal.is_some()) {
        return Err(ExitError::usage("--resume and --journal need a FILE: standard input cannot be resumed"));
    }
    Ok(())
}

/// Removes the file with the records that an earlier process refused or could not send: a resumed send tries them again.
fn remove_rest(args: &SendArgs, journal: &mut Journal) -> Result<(), ExitError> {
    let Some(rest) = journal.rest.clone() else { return Ok(()) };
    let given = args.failed.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    if given.as_ref() != Some(&rest) {
        // Otherwise the file would still contain records that this process sends.
        return Err(ExitError::usage(format!(
            "this send was begun with --failed {}: resume it with that, too; the file is written anew",
            rest.display()
        )));
    }
    match std::fs::remove_file(&rest) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ExitError::other(format!("{}: {error}", rest.display())))
        }
        _ => journal.set_rest(None),
    }
}

/// Returns the next step after a send that left some records.
fn hint(run: &Run<'_>, is_whole: bool) -> Option<String> {
    let (args, tally) = (run.maker.args, run.tally);
    if is_whole && tally.status() == 0 {
        return None;
    }
    match &run.left {
        Some(left) if is_whole => {
            let path = left.path.display();
            let is_known = args.format.is_some() || Format::of(&left.path) == args.format();
            let format = if is_known { "" } else { " and --format csv" };
            Some(format!(
                "the others are in {path}: correct what was refused, and send it by the same command with this FILE{format}"
            ))
        }
        _ if run.journal.is_none() => None,
        None if is_whole && tally.failed == 0 => {
            Some("the same command with --resume --failed NEW_FILE writes the refused records into a file, to be corrected".to_owned())
        }
        _ => Some("the same command with --resume sends the others".to_owned()),
    }
}

/// Returns the settings, with the arguments about guards applied.
fn settings(args: &SendArgs, environment: &Environment) -> Result<Settings, ExitError> {
    let read = |flags: &BTreeMap<String, String>| {
        let settings = environment.settings_of_tool(flags, None);
        settings.map_err(|problems| problems.to_string())
    };
    let mut settings = read(&BTreeMap::new()).map_err(ExitError::usage)?;
    let guards = &mut settings.guards;
    if !args.allow.is_empty() {
        let flags = BTreeMap::from([("guard_allow".to_owned(), args.allow.join(","))]);
        let read = read(&flags);
        // The setting is read under the name of its flag.
        let read = read.map_err(|problems| ExitError::usage(problems.replace("--guard-allow", "--allow")))?;
        guards.allow.extend(read.guards.allow);
    }
    if args.deny {
        guards.mode = GuardMode::Deny;
    }
    Ok(settings)
}

fn payload_of(args: &SendArgs, payload: &str) -> Result<Content, ExitError> {
    let text =
        read_payload(payload).map_err(|error| ExitError::usage(format!("--payload {payload}: {error}")))?;
    if args.job_type.is_none() {
        return Err(ExitError::usage("--payload needs --type: which job is it?"));
    }
    Ok(Content { json: text, fields: Fields::default() })
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

/// Opens the input. Columns that the schema of the type declares as texts are not parsed as numbers.
fn open(args: &SendArgs, schemas: &Schemas) -> Result<Records, ExitError> {
    let input: Bytes = if let Some(path) = args.file() {
        let mut file = open_file(path)?;
        if args.format() == Format::Csv {
            // Checked before anything is sent: a file that is corrected later cannot be resumed.
            let unusable = |error: std::io::Error| ExitError::usage(format!("{}: {error}", path.display()));
            Quotes::check(&mut file, args.delimiter()).map_err(unusable)?;
            file.rewind().map_err(unusable)?;
        }
        Box::new(file)
    } else {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            note("reading jobs from the terminal, one JSON object a line; Ctrl-D ends");
        }
        Box::new(stdin)
    };
    if args.format() == Format::Jsonl {
        if !args.columns.is_empty() || !args.texts.is_empty() || args.delimiter.is_some() {
            return Err(ExitError::usage("--column, --text and --delimiter are for --format csv"));
        }
        return Ok(Records::Lines(Lines::new(input)));
    }
    let job_type = args.job_type.as_deref().unwrap_or_default();
    let columns = |header: &[String]| {
        let is_text = |keys: &[String]| schemas.is_text(job_type, keys);
        Columns::new(header, &args.columns, args.csv_types, &args.texts, is_text)
    };
    let name = args.file().map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let rows = Rows::new(input, args.delimiter(), columns);
    let rows = rows.map_err(|error| ExitError::usage(format!("{name}: {error}")))?;
    if args.job_type.is_none() && !rows.gives(Field::Type) {
        return Err(ExitError::usage("CSV needs --type or --column type=NAME: which jobs are they?"));
    }
    Ok(Records::Rows(Box::new(rows)))
}

fn open_file(path: &Path) -> Result<File, ExitError> {
    let unreadable = |error: std::io::Error| ExitError::usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    // The file is read twice: once for the journal.
    if !file.metadata().map_err(unreadable)?.is_file() {
        let path = path.display();
        return Err(ExitError::usage(format!(
            "{path} is no file that can be resumed: give it as standard input"
        )));
    }
    Ok(file)
}

fn open_journal(args: &SendArgs, file: &Path, queue_url: &str) -> Result<Journal, ExitError> {
    let path = match &args.journal {
        Some(path) => path.clone(),
        None => journal::path_of(file, queue_url)?,
    };
    let mark =
        journal::mark(file).map_err(|error| ExitError::usage(format!("{}: {error}", file.display())))?;
    let begin = if args.resume { Begin::Resume } else { Begin::Anew };
    Journal::open(path, journal::header(queue_url, mark, args.deciding()), begin)
}
