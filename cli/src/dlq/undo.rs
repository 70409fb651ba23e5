//! `drumline dlq undo`: puts deleted letters back into the DLQ from their export.

mod export;
mod kept;
mod progress;
mod run;

use std::collections::HashSet;
use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionKind, ActionRecord, ActionState, Beginning};
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::Environment;
use serde::Serialize;

use super::action_log::{ActionLog, Locking};
use super::action_store::ActionStore;
use super::actions::{unknown, unread};
use super::common::{ActionArgs, QueueArgs, action_name};
use super::operator::host;
use super::queue::DeadLetterQueue;
use super::s3::is_s3;
use crate::format::{count, note, now_ms};
use crate::interrupt::unless_interrupted;
use crate::output::{Output, print};
use crate::question::{confirm, may_ask};
use export::Export;
use progress::Progress;
use run::{Tally, put_all_back};

/// Puts deleted letters back into the DLQ, from their export
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq undo INC-42 --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs

After a `delete` or an `export --delete`, this command sends the deleted letters to the DLQ again. This is possible for 14 days after the \
deletion, on the host that has the export, or on any host if the export is in S3. Each letter keeps its body and its attributes. The \
attribute DrumlineOrigin contains the ARN of the queue in which it died, and DrumlineMessageId the id of its message; `replay` uses both \
like SQS's own values. The time of sending and the receive count are new. If the action did not delete all its letters, the command first \
reads the DLQ, and does not send letters that are still there. If another receiver, or a command that was killed, hides letters in the \
DLQ, the command cannot see which letters these are, so it sends nothing. A killed command hides letters for at most 10 minutes.

The command can be killed at any time: run it again on the same host to continue. Each kill, and each lost response of SQS, can leave one \
batch of ten in the DLQ twice.

The command needs sqs:SendMessage and sqs:GetQueueAttributes on the DLQ. Without --dlq-url, it also needs sqs:GetQueueUrl on the DLQ and \
sqs:GetQueueAttributes on the source queue. To read the DLQ, it also needs sqs:ReceiveMessage and sqs:ChangeMessageVisibility. Encrypted \
queues need kms:Decrypt and kms:GenerateDataKey. An export in S3 needs s3:ListBucket on the bucket and s3:GetObject on the objects.

Exit status: 0 all letters are in the DLQ again; 1 the action is unknown, letters are hidden, some could not be sent, or you declined; 64 \
bad usage, there is no export, or the 14 days are over; 69 the queue cannot be reached or a permission is missing; 130 interrupted.")]
pub(super) struct UndoArgs {
    /// The name of the action that deleted the letters, as `dlq actions` lists it
    #[arg(value_name = "NAME", value_parser = action_name)]
    undone: String,
    #[command(flatten)]
    queue: QueueArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Send even if letters are hidden: those that were not deleted are then in the DLQ twice
    #[arg(long, hide_short_help = true)]
    ignore_hidden: bool,
    #[command(flatten)]
    action: ActionArgs,
}

pub(super) async fn undo(args: &UndoArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.queue.settings.read_for_tool(environment)?;
    let store = ActionStore::open(&settings).await?;
    let undone = store.action(&args.undone).await.map_err(|error| unread(&store, &error))?;
    let undone = undone.ok_or_else(|| unknown(&store, &args.undone))?.value;
    if !args.yes && !may_ask() {
        return Err(ExitError::usage("without a terminal to ask on, --yes is needed"));
    }
    let place = undone.undoable(now_ms()).map_err(|error| ExitError::usage(error.to_string()))?;
    if is_s3(place) {
        expect_no_undo_elsewhere(&store, &undone).await?;
    }
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let dlq = queue.arn.as_ref().unwrap_or(&queue.url);
    if undone.dlq != *dlq {
        let text = format!("{} deleted letters of {}, not of {dlq}", undone.name, undone.dlq);
        return Err(ExitError::usage(text));
    }
    let config = &queue.clients.config;
    let mut export = unless_interrupted(Export::open(place, &undone, config)).await?;
    let mut progress = Progress::open(place, &undone)?;
    // Letters that are still in the DLQ because they were not deleted.
    let mut kept = HashSet::new();
    if undone.may_have_left_letters() {
        kept = kept::look(&queue, args.ignore_hidden).await?;
    }
    let letters = unless_interrupted(letters(&mut export, &progress, &kept)).await?;
    if letters == 0 {
        note(&format!("all letters of {} are in {} again", undone.name, queue.name));
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirm(&format!("Put {} back into {}?", count(letters, "letter"), queue.name)).await? {
        return Err(ExitError::other("nothing was sent"));
    }
    let beginning = Beginning {
        kind: ActionKind::Undo,
        name: args.action.name(ActionKind::Undo, now_ms()),
        actor: args.action.actor(),
        dlq: dlq.clone(),
        words: vec![undone.name.clone()],
        bounds: Vec::new(),
        host: host(),
        journal: None,
        export: Some(place.to_owned()),
    };
    let log = ActionLog::begin(store, beginning, Locking::Exclusive).await?;
    let mut tally = Tally::default();
    let work = async {
        let export = Export::open(place, &undone, config).await?;
        put_all_back(&queue, &undone.name, export, &kept, &mut progress, &mut tally, &log).await
    };
    let result = Box::pin(unless_interrupted(work)).await;
    let name = log.action().name.clone();
    log.report(tally.counts());
    log.end_as(&result, (tally.left > 0).then_some("some letters could not be sent")).await;
    report(&name, &tally, &result, args.action.output)?;
    result?;
    Ok(ExitCode::from(u8::from(tally.left > 0)))
}

/// Returns an error if another host has put letters of this action back: only that host has the file of sent letters.
async fn expect_no_undo_elsewhere(store: &ActionStore, undone: &ActionRecord) -> Result<(), ExitError> {
    let here = host();
    let actions = store.actions().await.map_err(|error| unread(store, &error))?;
    let elsewhere = actions.into_iter().find(|action| {
        action.kind == ActionKind::Undo
            && action.words == [undone.name.as_str()]
            && action.started_at >= undone.started_at
            && action.host != here
    });
    let Some(ActionRecord { name, host, .. }) = elsewhere else { return Ok(()) };
    let host = host.unwrap_or_else(|| "an unknown host".to_owned());
    Err(ExitError::usage(format!(
        "the undo {name} put letters of {} back on {host}, which knows what was sent: run it on that host",
        undone.name
    )))
}

/// Returns the number of letters that must be put back.
async fn letters(
    export: &mut Export,
    progress: &Progress,
    kept: &HashSet<LetterId>,
) -> Result<usize, ExitError> {
    let mut letters = 0;
    while let Some(exported) = export.next().await? {
        letters += usize::from(run::is_wanted(&exported, progress, kept));
    }
    Ok(letters)
}

/// A result as one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    name: &'a str,
    kind: ActionKind,
    state: ActionState,
    put_back: u64,
    left: u64,
}

fn report(
    name: &str,
    tally: &Tally,
    result: &Result<(), ExitError>,
    output: Output,
) -> Result<(), ExitError> {
    if let Some(why) = &tally.why {
        note(&format!("{} could not be sent: {why}", count(tally.left, "letter")));
    }
    if tally.doubtful > 0 {
        let letters = count(tally.doubtful, "letter");
        note(&format!("{letters} may have been put back twice, since the answer to a batch was lost"));
    }
    if tally.lack_origin > 0 {
        let letters = count(tally.lack_origin, "letter");
        note(&format!("{letters} had no room for the attribute with the origin: replay needs --to for them"));
    }
    if tally.lack_id > 0 {
        let letters = count(tally.lack_id, "letter");
        note(&format!(
            "{letters} had no room for the id of the message: a job without its own id becomes a new job"
        ));
    }
    let state = if result.is_ok() && tally.left == 0 { ActionState::Done } else { ActionState::Stopped };
    let (put_back, left) = (tally.put_back as u64, tally.left as u64);
    let summary = Summary { name, kind: ActionKind::Undo, state, put_back, left };
    print(|out| match output {
        Output::Json => out.json_line(&summary),
        Output::Table => {
            writeln!(out, "{name}  {state}")?;
            writeln!(out, "put back  {put_back}")?;
            if left > 0 { writeln!(out, "left      {left}") } else { Ok(()) }
        }
    })
}
