//! `drumline dlq export`: writes complete dead letters as JSON Lines.

mod deletions;
mod file;
mod pass;
mod report;
mod resume;
mod s3;
mod sink;

use std::collections::HashSet;
use std::process::ExitCode;

use clap::value_parser;
use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionKind, Beginning};
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::{FORMAT_VERSION, Header};
use drumline_runtime::{Environment, Settings, program};

use super::action_log::{ActionLog, Locking};
use super::action_store::ActionStore;
use super::common::{A_LOOK_IS_A_RECEIVE, ActionArgs, QueueArgs};
use super::filter::FilterArgs;
use super::hold::HoldOptions;
use super::operator::host;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::recorded::Recorded;
use super::selection::at_most;
use crate::format::{not_expected, now_ms, rfc3339};
use crate::output::Output;
use resume::resume;

pub(super) use pass::{Done, Plan, pass};
pub(super) use report::{Summary, status_of};
pub(super) use resume::resume_file;
pub(super) use sink::Sink;

/// The target that is standard output.
const STDOUT: &str = "-";

/// Writes complete dead letters as JSON Lines
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq export letters.jsonl --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq export - --type email.send | jq -r .body
  {{program}} dlq export letters.jsonl --older-than 10d --delete
  {{program}} dlq export letters.jsonl --older-than 10d --delete --resume
  {{program}} dlq export s3://my-archive/dlq/jobs --older-than 10d --delete --name INC-42
  {{program}} dlq export s3://my-archive/dlq/jobs --older-than 10d --delete --name INC-42 --resume

The first line is a header with the version of the format (`drumlineDeadLetters`). Each further line is one letter: its unchanged body, \
its attributes with their types (binary values in base64), its system attributes, its origin, and the known facts about its job. `replay \
--from` can read the file. The file contains payloads in plain text; only its owner can read it (mode 0600).

With --delete, the command deletes a letter from the DLQ only after the letter's line is on disk. If an export was stopped or killed, the \
same command with --resume continues it. It then writes no letter twice, and with --delete it also deletes letters that are in the file \
and still in the DLQ.

In S3, the command writes objects PREFIX/NAME/000001.jsonl and so on. Each object begins with a header, and contains about 8 MiB of \
letters, or the letters of one minute. The command overwrites no object. With --delete, it deletes a letter after S3 has confirmed the \
letter's object. With --resume, it lists and reads the existing objects, and continues with the next one.

For 14 days, `undo NAME` can put letters that --delete has deleted back into the DLQ.

{A_LOOK_IS_A_RECEIVE}

--delete also needs sqs:DeleteMessage on the DLQ. s3:// needs s3:PutObject on the objects, and s3:GetObject to check if S3 stored an \
object whose response was lost. --resume from S3 needs s3:ListBucket on the bucket and s3:GetObject on the objects.

Exit status: 0 all letters that match are exported; 1 the count differs from --expect, some letters could not be deleted, or the file \
cannot be written; 64 bad usage; 69 the queue cannot be reached or a permission is missing; 130 interrupted."))]
pub(super) struct ExportArgs {
    /// The new file, - for standard output, or a place in S3 (`s3://…`)
    #[arg(value_name = "FILE")]
    target: String,
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    choice: Recorded<ChoiceArgs>,
    /// Continue an export that was stopped or killed
    ///
    /// For an export in S3, give the place that the export and `dlq actions show` print, or the prefix together with
    /// --name.
    #[arg(long)]
    resume: bool,
    /// Write nothing unless exactly this many letters match
    ///
    /// If the number differs, the exit status is 1.
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    expect: Option<u64>,
    #[command(flatten)]
    action: ActionArgs,
}

/// The letters to export, and if they are deleted.
#[derive(Debug, clap::Args)]
struct ChoiceArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Take at most this many matching letters
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Delete each letter from the DLQ after its line is on disk
    #[arg(long)]
    delete: bool,
}

pub(super) async fn export(args: &ExportArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let is_stdout = args.target == STDOUT;
    let choice = &args.choice.value;
    if is_stdout && (choice.delete || args.resume) {
        return Err(ExitError::usage("--delete and --resume need a file: standard output may be lost"));
    }
    if is_stdout && args.action.output == Output::Json {
        return Err(ExitError::usage("an export to standard output has no other output: leave --output out"));
    }
    let (settings, filter) = (args.queue.settings.read_for_tool(environment)?, choice.filter.filter());
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let limit = at_most(choice.limit);
    let among = match args.expect {
        Some(expected) => Some(count(&queue, &filter, limit, &mut reasons, expected).await?),
        None => None,
    };
    let name = args.action.name(ActionKind::Export, now_ms());
    let (name, mut sink, exported) = open(args, is_stdout, name, &queue).await?;
    let place = sink.place().map(|(place, _)| place);
    let log = match begin(args, &settings, &queue, &name, place).await {
        Ok(log) => log,
        Err(error) => {
            if !args.resume {
                sink.remove();
            }
            return Err(error);
        }
    };
    let plan = Plan {
        queue: &queue,
        filter: &filter,
        limit,
        among: among.as_ref(),
        deletes: choice.delete,
        log: Some(&log),
    };
    let mut done = Done::resumed(&log.action().counts, exported.len());
    let passed =
        pass(&plan, HoldOptions::limited(usize::MAX), Some(&mut reasons), &mut sink, &exported, &mut done)
            .await;
    let (hold, result) = match passed {
        Ok(passed) => passed,
        Err(error) => {
            let failed = Err::<(), _>(error);
            log.end_as(&failed, None).await;
            failed?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    hold.eprint_notes((!filter.is_open()).then_some(done.chosen.len()));
    hold.end().await;
    reasons.eprint_notes();
    let result = result.and_then(|()| expect_all(among.as_ref(), &done));
    log.report(done.counts());
    log.end_as(&result, (done.undeleted > 0).then_some("some letters could not be deleted")).await;
    Summary::new(&name, "export", &done, &sink).report(&result, args.action.output, is_stdout)?;
    result?;
    Ok(status_of(&done))
}

/// Records that the export begins or is resumed.
async fn begin(
    args: &ExportArgs,
    settings: &Settings,
    queue: &DeadLetterQueue,
    name: &str,
    place: Option<String>,
) -> Result<ActionLog, ExitError> {
    let beginning = Beginning {
        kind: ActionKind::Export,
        name: name.to_owned(),
        actor: args.action.actor(),
        dlq: queue.arn.clone().unwrap_or_else(|| queue.url.clone()),
        words: args.choice.words.clone(),
        bounds: Vec::new(),
        host: host(),
        journal: None,
        export: place,
    };
    let locking = if args.choice.value.delete { Locking::Exclusive } else { Locking::Shared };
    let store = ActionStore::open(settings).await?;
    if args.resume {
        ActionLog::resume(store, beginning, locking).await
    } else {
        ActionLog::begin(store, beginning, locking).await
    }
}

/// Opens the target. Returns the name of the export and the letters that are already in it.
async fn open(
    args: &ExportArgs,
    is_stdout: bool,
    name: String,
    queue: &DeadLetterQueue,
) -> Result<(String, Sink, HashSet<LetterId>), ExitError> {
    if args.resume {
        return resume(&args.target, args.action.given_name(), queue).await;
    }
    let header = header(&name, queue);
    let sink = if is_stdout {
        let mut sink = Sink::Stdout;
        sink.append(&header)?;
        sink
    } else if args.choice.value.delete {
        Sink::open_for_deletion(&args.target, &header, queue)?
    } else {
        Sink::open(&args.target, &header, queue)?
    };
    Ok((name, sink, HashSet::new()))
}

/// Returns the first line of an export.
pub(super) fn header(name: &str, queue: &DeadLetterQueue) -> Header {
    Header {
        drumline_dead_letters: FORMAT_VERSION,
        name: name.to_owned(),
        dlq: queue.name.clone(),
        dlq_arn: queue.arn.clone(),
        exported_at: rfc3339(now_ms()),
        program: format!("{} {}", program(), env!("CARGO_PKG_VERSION")),
    }
}

/// Returns an error if letters that were counted were not received again.
fn expect_all(among: Option<&HashSet<LetterId>>, done: &Done) -> Result<(), ExitError> {
    let (Some(among), found) = (among, done.chosen.len()) else { return Ok(()) };
    if found >= among.len() {
        return Ok(());
    }
    Err(ExitError::other(format!(
        "{} counted, and {found} found again: others hold the rest, or have deleted it",
        crate::format::count(among.len(), "letter")
    )))
}

/// Counts the letters that match. Returns them if their number is the expected one.
async fn count(
    queue: &DeadLetterQueue,
    filter: &drumline_dlq::filter::Filter,
    limit: usize,
    reasons: &mut ReasonLookup,
    expected: u64,
) -> Result<HashSet<LetterId>, ExitError> {
    let plan = Plan { queue, filter, limit, among: None, deletes: false, log: None };
    let mut done = Done::default();
    let (mut sink, exported) = (Sink::Nothing, HashSet::new());
    let options = HoldOptions::limited(usize::MAX);
    let reasons = filter.needs_history().then_some(reasons);
    let (hold, result) = pass(&plan, options, reasons, &mut sink, &exported, &mut done).await?;
    hold.end().await;
    result?;
    let found = done.chosen.len();
    if found as u64 == expected {
        return Ok(done.chosen);
    }
    Err(ExitError::other(format!("{}: nothing was written or deleted", not_expected(found as u64, expected))))
}
