//! `drumline send`: jobs into a queue, one from the command line or many from a file or standard input.
//!
//! - [`args`]: the command line
//! - [`input`], [`columns`], [`record`]: the records of JSON Lines and CSV
//! - [`maker`], [`ids`]: the message of a record
//! - [`journal`], [`confirmed`]: the records that SQS has confirmed, for `--resume`
//! - [`run`], [`left`], [`progress`]: the loop, and what it leaves

mod args;
mod columns;
mod confirmed;
mod ids;
mod input;
mod journal;
mod left;
mod maker;
mod progress;
mod record;
mod run;

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use drumline::Router;
use drumline_consumer::ExitError;
use drumline_producer::SendOptions;
use drumline_runtime::aws::{is_fifo, queue_url};
use drumline_runtime::{Environment, Service, runtimes};

use args::Format;
pub(crate) use args::SendArgs;
use columns::Columns;
use ids::Ids;
use input::{Bytes, Lines, Records, Rows};
use journal::{Begin, Journal};
use left::Left;
use maker::Maker;
use progress::Progress;
use record::{Content, Field, Fields};
use run::{Interrupt, Paced, Run, Tally};

use crate::connection::connect_to;
use crate::format::note;
use crate::interrupt::interrupted;
use crate::service::make_router;

/// The variable of the queue if no flag names one.
const QUEUE_URL: &str = "DRUMLINE_QUEUE_URL";

/// The variable of forward mode, in which no handlers are made.
const FORWARD_TO: &str = "DRUMLINE_FORWARD_TO";

/// Sends the jobs that the arguments name. `handlers_optional` is true for a program that may run without handlers of its own.
pub(crate) fn send(
    args: &SendArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<ExitCode, ExitError> {
    let given = args.queue_url.clone().or_else(|| environment.value(QUEUE_URL));
    let given = given
        .ok_or_else(|| ExitError::usage(format!("no queue is given: set --queue-url or {QUEUE_URL}")))?;
    let url = queue_url(&given).map_err(|error| ExitError::usage(format!("the queue: {error}")))?;
    let fifo = is_fifo(url.path());
    let router = handlers(args, environment, service, handlers_optional)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(payload) = &args.payload {
            let content = payload_of(args, payload)?;
            let maker = Maker::new(args, fifo, router, Ids::new(), false, |_| false)?;
            let message = maker.make(1, 1, &content);
            let message = message.map_err(|error| ExitError::usage(format!("the payload: {error}")))?;
            let (clients, url) = connect_to(&url, Duration::ZERO).await?;
            let mut run = parts(args, fifo, &clients, url.as_str(), maker);
            run.one(message).await?;
            return Ok(ExitCode::from(run.tally.status()));
        }
        let mut records = open(args)?;
        let gives = |records: &Records, field: Field| match records {
            Records::Lines(_) => false,
            Records::Rows(rows) => rows.columns().gives(field),
        };
        // Problems of the command line come before those of the network.
        let check = Maker::new(args, fifo, None, Ids::new(), false, |field| gives(&records, field))?;
        drop(check);
        let (clients, url) = connect_to(&url, Duration::ZERO).await?;
        let journal = args.file.as_ref().map(|file| open_journal(args, file, url.as_str())).transpose()?;
        let ids = match &journal {
            Some(journal) => Ids::of(journal.send_id()?),
            None => Ids::new(),
        };
        let maker = Maker::new(args, fifo, router, ids, journal.is_some(), |field| gives(&records, field))?;
        let delimiter = args.delimiter.unwrap_or(b',');
        let left = args.failed.as_ref().map(|path| Left::new(path, records.header(), delimiter, args.resume));
        let left = left.transpose()?;
        if let Some(journal) = &journal {
            note(&format!("the journal is {}", journal.path.display()));
        }
        let mut run = Run {
            interrupt: if journal.is_some() { Box::pin(interrupted()) } else { never() },
            progress: Progress::new(journal.as_ref().map(|journal| journal.header.file.bytes)),
            left,
            journal,
            pace: args.rate.map(Paced::new),
            ..parts(args, fifo, &clients, url.as_str(), maker)
        };
        let result = Box::pin(run.all(&mut records)).await;
        run.progress.end();
        note(&run.tally.summary());
        if run.journal.is_some() && run.left.is_none() && (result.is_err() || run.tally.status() != 0) {
            note("the same command with --resume sends the others");
        }
        result?;
        Ok(ExitCode::from(run.tally.status()))
    })
}

/// A send without a journal.
fn parts<'a>(
    args: &SendArgs,
    fifo: bool,
    clients: &'a drumline_runtime::aws::Clients,
    queue_url: &'a str,
    maker: Maker<'a>,
) -> Run<'a> {
    Run {
        clients,
        queue_url,
        options: SendOptions { fifo, ..SendOptions::default() },
        maker,
        journal: None,
        left: None,
        progress: Progress::new(None),
        interrupt: never(),
        pace: None,
        output: args.output,
        tally: Tally::default(),
    }
}

/// Signals end the process by themselves: a read of standard input would keep it from seeing them.
fn never() -> Interrupt {
    Box::pin(std::future::pending())
}

/// Makes the handlers, which know the versions of their types and what they would refuse. In forward mode there are none.
fn handlers(
    args: &SendArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<Option<Router>, ExitError> {
    let needs_version = args.schema_version.is_none() && args.job_type.is_some();
    if environment.value(FORWARD_TO).is_some() || (args.no_check && !needs_version) {
        return Ok(None);
    }
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    match router {
        Ok(router) => Ok(Some(router)),
        Err(problem) => {
            if !handlers_optional {
                let version = if needs_version { "schemaVersion is 1, and " } else { "" };
                note(&format!(
                    "{version}jobs are not checked by their handlers, since there are none: {problem}"
                ));
            }
            Ok(None)
        }
    }
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

/// Opens the input.
fn open(args: &SendArgs) -> Result<Records, ExitError> {
    let input: Bytes = match &args.file {
        Some(path) => Box::new(open_file(path)?),
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                note("reading jobs from the terminal, one JSON object a line; Ctrl-D ends");
            }
            Box::new(stdin)
        }
    };
    if args.format() == Format::Jsonl {
        if !args.columns.is_empty() || !args.texts.is_empty() || args.delimiter.is_some() {
            return Err(ExitError::usage("--column, --text and --delimiter are for --format csv"));
        }
        return Ok(Records::Lines(Lines::new(input)));
    }
    let columns = |header: &[String]| Columns::new(header, &args.columns, args.csv_types, &args.texts);
    let name =
        args.file.as_ref().map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let rows = Rows::new(input, args.delimiter.unwrap_or(b','), columns);
    let rows = rows.map_err(|error| ExitError::usage(format!("{name}: {error}")))?;
    if args.job_type.is_none() && !rows.columns().gives(Field::Type) {
        return Err(ExitError::usage("CSV needs --type or --column type=NAME: which jobs are they?"));
    }
    Ok(Records::Rows(rows))
}

fn open_file(path: &Path) -> Result<File, ExitError> {
    let unreadable = |error: std::io::Error| ExitError::usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    // It is read twice: once for the journal.
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
