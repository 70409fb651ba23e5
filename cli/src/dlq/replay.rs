//! `drumline dlq replay`: sends dead letters back to their queues. It loses no letter even if it is killed.

mod args;
mod ask;
mod batches;
mod changes;
mod count;
mod counts;
mod decide;
mod done;
mod edit;
mod native;
mod order;
mod origins;
mod outgoing;
mod permission;
mod recording;
mod report;
mod run;
mod source;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use drumline::Router;
use drumline_consumer::ExitError;
use drumline_dlq::action::ActionKind;
use drumline_dlq::canary::Canary;
use drumline_dlq::journal::{FileMark, Header, JOURNAL_VERSION, Record, State};
use drumline_runtime::{Environment, Service, Settings, runtimes};

use super::action_log::{ActionLog, Locking};
use super::action_store::ActionStore;
use super::done_jobs::check_again;
use super::journal::{self, Journal};
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::recorded::Recorded;
use super::selection::at_most;
use crate::format::{millis, not_expected, note, now_ms};
use crate::service::make_router;
use args::ChoiceArgs;
pub(super) use args::ReplayArgs;
use changes::Changes;
use decide::{Decider, Tally};
use order::Order;
use origins::Origins;
use run::{Bounds, Run};
use source::{Learned, Source};

/// The variable that enables forward mode, in which there are no handlers.
const FORWARD_TO: &str = "DRUMLINE_FORWARD_TO";

/// The longest time after its last line in which a process may still have received letters.
const SILENCE_MS: u64 = 60_000;

/// The number of letters in one line of the journal about chosen letters.
const CHOSEN: usize = 1_000;

/// Makes the handlers, which decide what they would refuse. In forward mode there are none.
pub(super) fn handlers(
    args: &ReplayArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<Option<Router>, ExitError> {
    if args.no_check || args.native.native || args.native.cancel || environment.value(FORWARD_TO).is_some() {
        return Ok(None);
    }
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    match router {
        Ok(router) => Ok(Some(router)),
        Err(problem) => {
            if !handlers_optional {
                note(&format!("letters are not checked by their handlers, since there are none: {problem}"));
            }
            Ok(None)
        }
    }
}

pub(super) async fn replay(
    args: &ReplayArgs,
    environment: &Environment,
    router: Option<&Router>,
) -> Result<ExitCode, ExitError> {
    if args.native.native || args.native.cancel {
        return Box::pin(native::native(args, environment)).await;
    }
    match &args.resume {
        Some(name) => Box::pin(resume(args, name, environment, router)).await,
        None => Box::pin(begin(args, environment, router)).await,
    }
}

async fn begin(
    args: &ReplayArgs,
    environment: &Environment,
    router: Option<&Router>,
) -> Result<ExitCode, ExitError> {
    let may_ask = ask::may_ask();
    if !args.consent.dry_run && !args.consent.yes && args.consent.expect.is_none() && !may_ask {
        return Err(ExitError::usage("without a terminal to ask on, --yes or --expect N is needed"));
    }
    let started_at = now_ms();
    let name = args.action.name(ActionKind::Replay, started_at);
    let path = match &args.journal {
        Some(path) => path.clone(),
        None => journal::path_of(&name)?,
    };
    let choice = &args.choice.value;
    let stop_after = args.stop_after(choice.from.is_some())?;
    let limit = at_most(choice.limit);
    let mut changes = choice.changes.read(limit, None)?;
    // An action that asks needs them too: the question shows them.
    if args.consent.dry_run || !args.consent.yes {
        changes.keep_preview();
    }
    let settings = args.queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let action = Action { name: &name, started_at, export: choice.from.clone() };
    let mut decider = decider(choice, action, changes, &queue, &settings, router).await?;
    let mark = choice.from.as_deref().map(|path| source::mark(path, &queue, choice.to.is_some()));
    let mark = mark.transpose()?;
    let asks = !args.consent.yes && args.consent.expect.is_none();
    let mut chosen = None;
    if args.consent.dry_run || args.consent.expect.is_some() || asks || decider.changes.are_edited() {
        let counted = count::count(&mut decider, limit, args.hold, choice.from.as_deref()).await?;
        queue.eprint_unopened();
        let matched = decider.tally.matched;
        if args.consent.dry_run {
            return report::dry_run(&decider, &counted, args.consent.expect, args.action.output);
        }
        if let Some(expected) = args.consent.expect.filter(|expected| *expected != matched) {
            return Err(ExitError::other(format!("{}: nothing was sent", not_expected(matched, expected))));
        }
        if matched == 0 {
            report::eprint_no_match(&decider, counted.seen);
            return Ok(ExitCode::SUCCESS);
        }
        if counted.letters.is_empty() {
            report::eprint_left(&decider.tally);
            return Err(count::nothing_to_send(&decider.tally));
        }
        if asks && !ask::confirm(&counted, &decider).await? {
            return Err(ExitError::other("nothing was sent"));
        }
        chosen = Some(counted.letters);
        decider.begin_run();
    }
    if choice.from.is_none() {
        permission::check_delete(&queue).await?;
    }
    let header = header(args, &settings, &decider, mark);
    let mut journal = Journal::create(&path, header.clone())?;
    for letters in chosen.iter().flat_map(|letters| letters.chunks(CHOSEN)) {
        let letters = letters.iter().map(|id| format!("{:x}", id.to_u128())).collect();
        journal.log.add(&Record::Chosen { letters });
    }
    decider.changes.edited().for_each(|edit| journal.log.add(&edit));
    journal.commit().await?;
    let recorded = recording::beginning(&queue, &header, &journal.path, args.bounds())?;
    let log = match ActionLog::begin(ActionStore::open(&settings).await?, recorded, Locking::Exclusive).await
    {
        Ok(log) => log,
        Err(error) => {
            // The journal has sent nothing.
            let _ = std::fs::remove_file(&journal.path);
            return Err(error);
        }
    };
    note(&format!("the journal is {}", journal.path.display()));
    let bounds = bounds(args, limit, stop_after, 0);
    Box::pin(run(args, &queue, journal, decider, bounds, None, &log)).await
}

/// The action whose letters are decided about.
struct Action<'a> {
    name: &'a str,
    started_at: u64,
    /// The file from which the letters come.
    export: Option<PathBuf>,
}

/// Returns the decider for the letters of an action.
async fn decider<'a>(
    choice: &ChoiceArgs,
    action: Action<'a>,
    changes: Changes,
    queue: &'a DeadLetterQueue,
    settings: &'a Settings,
    router: Option<&'a Router>,
) -> Result<Decider<'a>, ExitError> {
    let reasons = ReasonLookup::open(settings).await?;
    if choice.again {
        check_again(reasons.histories())?;
    }
    Ok(Decider {
        queue,
        settings,
        filter: choice.filter.filter(),
        changes,
        reasons,
        origins: Origins::find(queue, choice.to.as_deref()).await?,
        order: Order::default(),
        action: action.name,
        started_at: action.started_at,
        router,
        again: choice.again,
        export: action.export,
        learned: Learned::new(),
        forgotten: HashSet::new(),
        tally: Tally::default(),
    })
}

/// The first line of the journal.
fn header(args: &ReplayArgs, settings: &Settings, decider: &Decider, from: Option<FileMark>) -> Header {
    let named = args.queue.dlq_url.is_none().then(|| settings.queues.first()).flatten();
    Header {
        drumline_journal: JOURNAL_VERSION,
        kind: "replay".to_owned(),
        name: decider.action.to_owned(),
        actor: args.action.actor(),
        dlq_url: decider.queue.url.clone(),
        queue: named.map(|queue| queue.url.to_string()),
        words: args.choice.words.clone(),
        files: decider.changes.files.clone(),
        from,
        started_at: decider.started_at,
        hold_secs: args.hold.as_secs(),
    }
}

async fn resume(
    args: &ReplayArgs,
    name: &str,
    environment: &Environment,
    router: Option<&Router>,
) -> Result<ExitCode, ExitError> {
    if !args.choice.words.is_empty() {
        return Err(ExitError::usage(format!(
            "a resumed replay takes {} from its journal",
            args.choice.words.join(" ")
        )));
    }
    let path = journal::path_to_resume(name)?;
    let (mut journal, state) = Journal::open(&path, args.hold)?;
    let header = state.header().clone();
    let choice = Recorded::<ChoiceArgs>::from_words(&header.words)
        .map_err(|error| ExitError::usage(format!("{}: {error}", path.display())))?;
    let choice = &choice.value;
    let stop_after = args.stop_after(header.from.is_some())?;
    let changes = choice.changes.read(usize::MAX, Some(&state))?;
    let settings = args.queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::resumed(&args.queue, &settings, &header).await?;
    let export = header.from.as_ref().map(|from| PathBuf::from(&from.path));
    if let (Some(begun), Some(export)) = (&header.from, &export)
        && source::mark(export, &queue, true)? != *begun
    {
        return Err(ExitError::usage(format!("{}: the file has changed since the action began", begun.path)));
    }
    let action = Action { name: &header.name, started_at: header.started_at, export };
    let decider = decider(choice, action, changes, &queue, &settings, router).await?;
    let limit = choice.limit.map_or(usize::MAX, |limit| (limit as usize).saturating_sub(state.sent()));
    // A process that ends by itself releases what it holds and removes the file of receipts.
    let was_killed = !state.is_over() && journal.held_path().exists();
    let hidden_until = if was_killed && !args.no_wait { hidden_until(&journal, &state) } else { 0 };
    let recorded = recording::beginning(&queue, &header, &path, args.bounds())?;
    let log = ActionLog::resume(ActionStore::open(&settings).await?, recorded, Locking::Exclusive).await?;
    // Written before the first receive: if this process is killed, too, the next one must know the hold.
    journal.commit().await?;
    let bounds = bounds(args, limit, stop_after, hidden_until);
    Box::pin(run(args, &queue, journal, decider, bounds, Some(&state), &log)).await
}

/// Returns the time until which a killed process may have hidden letters.
fn hidden_until(journal: &Journal, state: &State) -> u64 {
    let files = [journal.path.clone(), journal.held_path()];
    let changed = files.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
    let latest = changed.filter_map(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).max();
    let latest = latest.map_or(u64::MAX, millis);
    let last_receive = now_ms().min(latest.saturating_add(SILENCE_MS));
    last_receive + state.hold_secs() * 1_000
}

fn bounds(args: &ReplayArgs, limit: usize, stop_after: usize, hidden_until: u64) -> Bounds {
    let canary = args.canary.map(|size| Canary::new(size as usize, args.canary_wait));
    Bounds { limit, rate: args.rate, stop_after, canary, hold: args.hold, hidden_until }
}

async fn run(
    args: &ReplayArgs,
    queue: &DeadLetterQueue,
    journal: Journal,
    decider: Decider<'_>,
    bounds: Bounds,
    resumed: Option<&State>,
    log: &ActionLog,
) -> Result<ExitCode, ExitError> {
    let to_resume = args.to_resume(&journal.path);
    let begun = async {
        let export = decider.export.as_deref();
        let letters = Source::open(queue, export, args.hold, Some(journal.held_path())).await?;
        let mut run = Run::new(letters, journal, decider, bounds, log);
        if let Some(state) = resumed {
            run.delete_sent(state);
        }
        run.run().await
    };
    let ended = Box::pin(begun).await;
    recording::end(log, &ended).await;
    match ended {
        Ok(outcome) => report::report(outcome, args.action.output, &to_resume),
        Err(error) => {
            note(&format!("to continue: {} {to_resume}", drumline_runtime::program()));
            Err(error)
        }
    }
}
