//! `drumline dlq delete`: exports the letters that match, asks the operator, and deletes them.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ValueHint, value_parser};
use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionKind, Beginning};
use drumline_dlq::filter::Filter;
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::{Environment, Settings};

use super::action_log::{ActionLog, Locking};
use super::action_store::ActionStore;
use super::common::{A_LOOK_IS_A_RECEIVE, ActionArgs, QueueArgs};
use super::export::{Done, Plan, Sink, Summary, header, pass, status_of};
use super::filter::FilterArgs;
use super::hold::{Hold, HoldOptions};
use super::journal;
use super::operator::host;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::recorded::Recorded;
use super::selection::at_most;
use crate::format::{count, not_expected, note, now_ms};
use crate::interrupt::unless_interrupted;
use crate::question::{confirm, may_ask};

/// The file extension of exports.
const EXPORT: &str = "jsonl";

/// The time that letters are held while the operator reads the question. Letters whose hold has ended before the answer are
/// received again.
const HOLD: Duration = Duration::from_mins(10);

/// Deletes dead letters after exporting them
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq delete --fingerprint 3f2a91c0 --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq delete --type email.send --older-than 10d --name INC-42
  {{program}} dlq delete --id 7ae2c3f4-0f6c-4a3e-9d0f-5a7f0f8f2b11 --yes --expect 1

The command reads all letters of the DLQ, exports those that match, asks for confirmation, and deletes exactly the exported letters. \
Letters that arrive in the meantime stay. Without a filter, all letters match. The export is the file drumline/dlq/NAME.jsonl in \
$XDG_STATE_HOME or ~/.local/state. It contains payloads in plain text, and only its owner can read it. If the command deletes no letter, \
it removes this file, but not objects in S3. For 14 days, `undo NAME` can put the letters back into the DLQ.

On a FIFO queue, the command sees only the first ten letters of each message group, so you may have to run it again. `export FILE \
--delete` continues with the next letters by itself.

{A_LOOK_IS_A_RECEIVE}

The command also needs sqs:DeleteMessage on the DLQ; --export s3://BUCKET/PREFIX needs s3:PutObject and s3:GetObject on the objects, \
PREFIX/NAME/000001.jsonl and so on.

Exit status: 0 deleted, even if no letter matches; 1 the count differs from --expect, you declined, or some letters could not be deleted; \
64 bad usage; 69 the queue cannot be reached or a permission is missing; 130 interrupted."))]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    choice: Recorded<ChoiceArgs>,
    /// Write the export to this new file, or to S3 (`s3://…`); pipes and devices are refused
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    export: Option<String>,
    /// Do not export the letters: the deletion cannot be undone
    #[arg(long, conflicts_with = "export")]
    no_export: bool,
    /// Delete nothing unless exactly this many letters match
    ///
    /// If the number differs, the exit status is 1.
    #[arg(long, value_name = "N")]
    expect: Option<u64>,
    /// Do not ask; needs --expect
    #[arg(long, requires = "expect")]
    yes: bool,
    #[command(flatten)]
    action: ActionArgs,
}

/// The letters to delete.
#[derive(Debug, clap::Args)]
struct ChoiceArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Take at most this many matching letters
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

pub(super) async fn delete(args: &DeleteArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    if !args.yes && !may_ask() {
        return Err(ExitError::usage("without a terminal to ask on, --yes --expect N is needed"));
    }
    let name = args.action.name(ActionKind::Delete, now_ms());
    let target = export_target(args, &name)?;
    let (settings, filter) =
        (args.queue.settings.read_for_tool(environment)?, args.choice.value.filter.filter());
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let limit = at_most(args.choice.value.limit);
    let mut sink = match &target {
        Some(target) => Sink::open_for_deletion(target, &header(&name, &queue), &queue)?,
        None => Sink::Nothing,
    };
    let plan = Plan { queue: &queue, filter: &filter, limit, among: None, deletes: false, log: None };
    let mut done = Done::default();
    let options = HoldOptions { hold: Some(HOLD), ..HoldOptions::limited(usize::MAX) };
    let needs_reasons = target.is_some() || filter.needs_history();
    let none = HashSet::new();
    let looked =
        pass(&plan, options, needs_reasons.then_some(&mut reasons), &mut sink, &none, &mut done).await;
    let (mut hold, result) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            sink.remove();
            return Err(error);
        }
    };
    hold.eprint_notes((!filter.is_open()).then_some(done.chosen.len()));
    reasons.eprint_notes();
    let agreed = match result {
        Ok(()) => agree(args, &done, &queue).await,
        Err(error) => Err(error),
    };
    if !matches!(agreed, Ok(true)) {
        hold.end().await;
        sink.remove();
        return match agreed {
            Err(error) => Err(error),
            Ok(_) => Ok(ExitCode::SUCCESS),
        };
    }
    let log = match begin(args, &settings, &queue, &name, sink.place().map(|(place, _)| place)).await {
        Ok(log) => log,
        Err(error) => {
            hold.end().await;
            sink.remove();
            return Err(error);
        }
    };
    let (left, mut result) = delete_held(&mut hold, &mut done, &log).await;
    hold.end().await;
    if result.is_ok() && !left.is_empty() {
        result = delete_again(&queue, &left, &mut done, &log).await;
    }
    log.report(done.counts());
    log.end_as(&result, (done.undeleted > 0).then_some("some letters could not be deleted")).await;
    Summary::new(&name, "delete", &done, &sink).report(&result, args.action.output, false)?;
    result?;
    Ok(status_of(&done))
}

/// Records the begin of the delete. From then on, the letters in its export can be restored.
async fn begin(
    args: &DeleteArgs,
    settings: &Settings,
    queue: &DeadLetterQueue,
    name: &str,
    export: Option<String>,
) -> Result<ActionLog, ExitError> {
    let beginning = Beginning {
        kind: ActionKind::Delete,
        name: name.to_owned(),
        actor: args.action.actor(),
        dlq: queue.arn.clone().unwrap_or_else(|| queue.url.clone()),
        words: args.choice.words.clone(),
        bounds: Vec::new(),
        host: host(),
        journal: None,
        export,
    };
    ActionLog::begin(ActionStore::open(settings).await?, beginning, Locking::Exclusive).await
}

/// Returns the target of the export, unless there is none.
fn export_target(args: &DeleteArgs, name: &str) -> Result<Option<String>, ExitError> {
    if args.no_export || args.export.is_some() {
        return Ok(args.export.clone());
    }
    let path = journal::path_with(name, EXPORT)?;
    if let Some(folder) = path.parent() {
        let created = crate::state_folder::create_folder(folder);
        created
            .map_err(|error| ExitError::other(format!("{} cannot be created: {error}", folder.display())))?;
    }
    Ok(Some(path.display().to_string()))
}

/// Returns true if the letters should be deleted, and false if there are none.
async fn agree(args: &DeleteArgs, done: &Done, queue: &DeadLetterQueue) -> Result<bool, ExitError> {
    let found = done.chosen.len();
    if let Some(expected) = args.expect.filter(|expected| *expected != found as u64) {
        return Err(ExitError::other(format!(
            "{}: nothing was deleted",
            not_expected(found as u64, expected)
        )));
    }
    if found == 0 {
        note("no letter matches: nothing was deleted");
        return Ok(false);
    }
    if args.yes {
        return Ok(true);
    }
    let export = if args.no_export { " permanently, without an export" } else { "" };
    if confirm(&format!("Delete {} from {}{export}?", count(found, "letter"), queue.name)).await? {
        Ok(true)
    } else {
        Err(ExitError::other("nothing was deleted"))
    }
}

/// Deletes the letters that are held. Returns the letters that are left, even if it is interrupted.
async fn delete_held(
    hold: &mut Hold<'_>,
    done: &mut Done,
    log: &ActionLog,
) -> (HashSet<LetterId>, Result<(), ExitError>) {
    let mut deleted = HashSet::new();
    let counted = done.counts();
    let each = |deleted: usize| {
        let mut counts = counted.clone();
        counts.insert("deleted".to_owned(), deleted as u64);
        log.report(counts);
        log.stop_asked().map_or(Ok(()), |reason| Err(ExitError::other(reason)))
    };
    let result = unless_interrupted(hold.delete_among(&done.chosen, &mut deleted, each)).await;
    hold.forget(deleted.iter().copied());
    let left: HashSet<LetterId> = done.chosen.difference(&deleted).copied().collect();
    (done.deleted, done.undeleted) = (deleted.len(), left.len());
    (left, result)
}

/// Deletes letters whose hold has ended, or that were released so that others could be received.
async fn delete_again(
    queue: &DeadLetterQueue,
    left: &HashSet<LetterId>,
    done: &mut Done,
    log: &ActionLog,
) -> Result<(), ExitError> {
    let filter = Filter::default();
    let plan =
        Plan { queue, filter: &filter, limit: left.len(), among: Some(left), deletes: true, log: Some(log) };
    let mut again = Done { earlier: done.counts(), ..Done::default() };
    let (mut sink, options) = (Sink::Nothing, HoldOptions::limited(usize::MAX));
    // All of them are in the export.
    let looked = pass(&plan, options, None, &mut sink, left, &mut again).await;
    done.deleted += again.deleted;
    done.undeleted = left.len() - again.deleted;
    let (hold, result) = looked?;
    hold.end().await;
    if done.undeleted > 0 {
        let unseen = "they were not found again: others hold them, or they are gone";
        done.why = Some(again.why.unwrap_or_else(|| unseen.to_owned()));
    }
    result
}
