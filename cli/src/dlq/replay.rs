//! `drumline dlq replay`: dead letters back into their queues, with nothing lost wherever it is killed.

mod ask;
mod batches;
mod count;
mod decide;
mod origins;
mod outgoing;
mod recorded;
mod report;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Header, JOURNAL_VERSION, Record, State};
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::Environment;

use super::common::QueueArgs;
use super::filter::FilterArgs;
use super::hold::{Hold, HoldOptions};
use super::journal::{self, Journal};
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use crate::format::{note, now_ms};
use crate::output::Output;
use decide::{Decider, Tally};
use origins::Origins;
use recorded::Recorded;
use run::{Bounds, Run};

/// The shortest hold: some seconds of it are not used.
const SHORTEST_HOLD: Duration = Duration::from_secs(10);

/// SQS hides a message for twelve hours at most.
const LONGEST_HOLD: Duration = Duration::from_secs(43_200);

/// How long after its last line a process may still have received letters, at the most.
const SILENCE_MS: u64 = 60_000;

/// Letters of one line of the journal that says which were chosen.
const CHOSEN: usize = 1_000;

/// Puts dead letters back into their queues
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq replay --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs --dry-run
  {program} dlq replay --type email.send --reason 'no such user' --rate 50/s --name INC-42
  {program} dlq replay --yes --expect 4000
  {program} dlq replay --resume INC-42

Each letter goes to the queue that it died in, which must have a redrive policy that names this DLQ; --to names another. It \
keeps its body and its attributes, without those that say why it died. The id of its job is kept: a job without one gets the \
attribute DrumlineJobId, by which workers know it again, so that a job that is done is not done again. On a FIFO queue the order \
within each message group is kept.

It is safe to kill: a journal (its path is printed; mode 0600; no bodies) says what was sent, and --resume continues there. Then \
nothing is lost, and at most one batch of ten is sent twice. Letters are deleted from the DLQ only after SQS has confirmed the new \
message. Letters that do not match are hidden from other readers while it runs, and for at most the time of --hold after it was \
killed.

On a FIFO queue, letters behind the first ten of their message group that do not match cannot be reached.

It needs sqs:ReceiveMessage, sqs:ChangeMessageVisibility, sqs:GetQueueAttributes, sqs:DeleteMessage and \
sqs:ListDeadLetterSourceQueues (not with --to) on the DLQ, and sqs:SendMessage on the queues that it sends to; without --dlq-url \
also sqs:GetQueueUrl and sqs:GetQueueAttributes on the queue. Encrypted queues need kms:Decrypt, and kms:GenerateDataKey where it \
sends.

Exit status: 0 done, and nothing that matched is left; 1 some matched letters are left, the count is not that of --expect, stopped, \
or declined; 64 bad usage, no DLQ, no queue to send to; 69 a queue cannot be reached or a permission is missing; 130 interrupted.")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    choice: Recorded<ChoiceArgs>,
    /// Send at most so many letters a second, reached within 10 s
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<f64>,
    /// Stop once so many replayed letters are dead again
    ///
    /// By then, more of them may be in their queues.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    stop_after: u32,
    /// Print which letters would be sent where, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Send nothing and end with status 1 unless exactly so many letters match
    #[arg(long, value_name = "N")]
    expect: Option<u64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The action's name [default: replay-DATE-TIME]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The person or program that acts [default: USER@HOST]
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    /// The file of the journal [default: drumline/dlq/NAME.journal in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    journal: Option<std::path::PathBuf>,
    /// Continue a replay that was stopped or killed, by its name or its journal
    ///
    /// At most one batch of ten letters may be sent twice.
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["name", "actor", "dry_run", "expect"])]
    resume: Option<String>,
    /// Do not wait for letters that the killed process may have hidden
    #[arg(long, requires = "resume")]
    no_wait: bool,
    /// Hide received letters for so long at a time
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = hold)]
    hold: Duration,
    /// For people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The letters that are meant, and where they go. A resumed replay takes it from its journal.
#[derive(Debug, clap::Args)]
struct ChoiceArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Take at most so many matching letters
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Send to this queue instead of each letter's origin
    ///
    /// It is another scope unless both queues share one: jobs that are done run again.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

pub(super) async fn replay(args: &ReplayArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    match &args.resume {
        Some(name) => resume(args, name, environment).await,
        None => begin(args, environment).await,
    }
}

async fn begin(args: &ReplayArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let may_ask = ask::may_ask();
    if !args.dry_run && !args.yes && args.expect.is_none() && !may_ask {
        return Err(ExitError::usage("without a terminal to ask on, --yes or --expect N is needed"));
    }
    let started_at = now_ms();
    let name = args.name.clone().unwrap_or_else(|| ask::default_name(started_at));
    let path = match &args.journal {
        Some(path) => path.clone(),
        None => journal::path_of(&name)?,
    };
    let settings = args.queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(&args.queue, &settings).await?;
    let choice = &args.choice.value;
    let reasons = ReasonLookup::open(&settings).await?;
    let origins = Origins::find(&queue, choice.to.as_deref()).await?;
    let mut decider = Decider {
        queue: &queue,
        filter: choice.filter.filter(),
        reasons,
        origins,
        action: &name,
        started_at,
        tally: Tally::default(),
    };
    let limit = choice.limit.map_or(usize::MAX, |limit| limit as usize);
    let asks = !args.yes && args.expect.is_none();
    let mut chosen = None;
    if args.dry_run || args.expect.is_some() || asks {
        let counted = count::count(&mut decider, limit, args.hold).await?;
        let matched = decider.tally.matched;
        if args.dry_run {
            return report::dry_run(&decider, &counted, args.expect, args.output);
        }
        if let Some(expected) = args.expect.filter(|expected| *expected != matched) {
            return Err(ExitError::other(format!(
                "{matched} letters match instead of {expected}: nothing was sent"
            )));
        }
        if matched == 0 {
            note("no letter matches: nothing was sent");
            return Ok(ExitCode::SUCCESS);
        }
        if counted.letters.is_empty() {
            report::eprint_left(&decider.tally);
            return Err(count::nothing_to_send(&decider.tally));
        }
        if asks && !ask::confirm(&counted, &decider)? {
            return Err(ExitError::other("nothing was sent"));
        }
        chosen = Some(counted.letters);
        decider.tally = Tally::default();
    }
    let header = Header {
        drumline_journal: JOURNAL_VERSION,
        kind: "replay".to_owned(),
        name: name.clone(),
        actor: args.actor.clone().unwrap_or_else(ask::default_actor),
        dlq_url: queue.url.clone(),
        queue: args
            .queue
            .dlq_url
            .is_none()
            .then(|| settings.queues.first().map(|queue| queue.url.to_string()))
            .flatten(),
        words: args.choice.words.clone(),
        files: Vec::new(),
        started_at,
        hold_secs: args.hold.as_secs(),
    };
    let mut journal = Journal::create(&path, header)?;
    for letters in chosen.iter().flat_map(|letters| letters.chunks(CHOSEN)) {
        let letters = letters.iter().map(|id| format!("{:x}", id.to_u128())).collect();
        journal.log.add(&Record::Chosen { letters });
    }
    journal.commit().await?;
    note(&format!("the journal is {}", journal.path.display()));
    let bounds = bounds(args, limit, 0);
    run(args, &queue, journal, decider, bounds, None).await
}

async fn resume(args: &ReplayArgs, name: &str, environment: &Environment) -> Result<ExitCode, ExitError> {
    if !args.choice.words.is_empty() {
        return Err(ExitError::usage(format!(
            "a resumed replay takes {} from its journal",
            args.choice.words.join(" ")
        )));
    }
    let path = journal::path_to_resume(name)?;
    let (journal, state) = Journal::open(&path)?;
    let header = state.header().clone();
    let choice = Recorded::<ChoiceArgs>::from_words(&header.words)
        .map_err(|error| ExitError::usage(format!("{}: {error}", path.display())))?;
    let choice = &choice.value;
    let settings = args.queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::resumed(&args.queue, &settings, &header).await?;
    let reasons = ReasonLookup::open(&settings).await?;
    let origins = Origins::find(&queue, choice.to.as_deref()).await?;
    let decider = Decider {
        queue: &queue,
        filter: choice.filter.filter(),
        reasons,
        origins,
        action: &header.name,
        started_at: header.started_at,
        tally: Tally::default(),
    };
    let limit = choice.limit.map_or(usize::MAX, |limit| (limit as usize).saturating_sub(state.sent()));
    let hidden_until = if state.is_over() || args.no_wait { 0 } else { hidden_until(&path, &state) };
    let bounds = bounds(args, limit, hidden_until);
    run(args, &queue, journal, decider, bounds, Some(&state)).await
}

/// The time until which a killed process may have hidden letters.
fn hidden_until(path: &std::path::Path, state: &State) -> u64 {
    let files = [path.to_owned(), path.with_extension("held")];
    let changed = files.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
    let latest = changed.filter_map(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).max();
    let latest = latest.map_or(u64::MAX, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let last_receive = now_ms().min(latest.saturating_add(SILENCE_MS));
    last_receive + state.hold_secs() * 1_000
}

fn bounds(args: &ReplayArgs, limit: usize, hidden_until: u64) -> Bounds {
    let stop_after = args.stop_after as usize;
    Bounds { limit, rate: args.rate, stop_after, hold: args.hold, hidden_until }
}

async fn run(
    args: &ReplayArgs,
    queue: &DeadLetterQueue,
    journal: Journal,
    decider: Decider<'_>,
    bounds: Bounds,
    resumed: Option<&State>,
) -> Result<ExitCode, ExitError> {
    let path = journal.path.clone();
    let options = HoldOptions { limit: usize::MAX, hold: Some(args.hold), spool: Some(journal.held_path()) };
    let begun = async {
        let hold = Hold::begin(queue, options).await?;
        let mut run = Run::new(hold, journal, decider, bounds);
        if let Some(state) = resumed {
            run.delete_sent(state);
        }
        run.run().await
    };
    match begun.await {
        Ok(outcome) => report::report(outcome, args.output),
        Err(error) => {
            note(&format!(
                "to continue: {} dlq replay --resume {}",
                drumline_runtime::program(),
                path.display()
            ));
            Err(error)
        }
    }
}

/// Letters that were counted.
#[derive(Debug, Default)]
struct Counted {
    letters: Vec<LetterId>,
    per_queue: std::collections::BTreeMap<String, u64>,
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let rate = number.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write it as letters a second, such as 50/s".to_owned())
}

fn hold(text: &str) -> Result<Duration, String> {
    let hold = crate::format::duration(text)?;
    if (SHORTEST_HOLD..=LONGEST_HOLD).contains(&hold) {
        return Ok(hold);
    }
    Err("SQS hides a message for 12h at most, and less than 10s are too short".to_owned())
}
