//! `drumline dlq ls`: prints a line for each message with the reason why it is there.

use std::process::ExitCode;

use clap::value_parser;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::common::{A_LOOK_IS_A_RECEIVE, QueueArgs};
use super::dead_letter::{DeadLetter, Done};
use super::filter::FilterArgs;
use super::hold::{Hold, HoldOptions};
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::selection::select;
use crate::format::{now_ms, rfc3339, shortest};
use crate::interrupt::unless_interrupted;
use crate::list::{Column, FORMS, List};
use crate::output::Output;

/// Lists the dead letters: job, age, number of receives and reason
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq ls --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq ls --type email.send --reason 'no such user'
  {{program}} dlq ls --older-than 10d --limit 5000
  {{program}} dlq ls --dlq-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq --output json \\
    | jq -r '.why.reason' | sort | uniq -c | sort -rn

{FORMS}

{A_LOOK_IS_A_RECEIVE}

The receive counts do not include the receives of this command.
Exit status: 0 listed, even if no letter matches, 64 bad usage, 69 the queue cannot be reached, 1 any other error."))]
pub(super) struct LsArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Read at most this many messages, whether they match or not
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), default_value = "100")]
    limit: u32,
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let LsArgs { queue, filter, limit, wide, output } = args;
    let filter = filter.filter();
    let settings = queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let mut look = Hold::begin(&queue, HoldOptions::limited(*limit as usize)).await?;
    let mut list = List::new(*output, *wide, &COLUMNS, WIDE);
    let listed = unless_interrupted(async {
        loop {
            let messages = look.more().await?;
            if messages.is_empty() {
                return Ok(());
            }
            let now = now_ms();
            for selected in select(messages, &queue, &filter, Some(&mut reasons)).await {
                look.bar.suspend(|| add(&mut list, &selected.letter, now))?;
            }
        }
    })
    .await;
    // Letters that were seen before an error are still released and shown.
    let matching = (!filter.is_open()).then_some(list.count());
    let shown = list.end();
    if listed.is_ok() || look.seen() > 0 {
        look.eprint_notes(matching);
    }
    look.end().await;
    reasons.eprint_notes();
    listed?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// The columns on a terminal.
static COLUMNS: [Column; 5] = [
    Column::whole("JOB"),
    Column::cut("TYPE", 16),
    Column::whole("AGE"),
    Column::whole("RECV"),
    Column::cut("REASON", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 6] = ["JOB", "TYPE", "SENT", "RECEIVES", "REASON", "MESSAGE"];

fn add(list: &mut List<5, 6>, letter: &DeadLetter, now: u64) -> Result<(), ExitError> {
    let job = || letter.letter().job_id().to_owned();
    let job_type = || letter.letter().job_type().unwrap_or("-").to_owned();
    let sent = |text: &dyn Fn(u64) -> String| letter.letter().sent_ms().map_or_else(|| "-".to_owned(), text);
    let receives = || letter.letter().receives().to_string();
    let narrow = || {
        let age = sent(&|sent| shortest(now.saturating_sub(sent)));
        [job(), job_type(), age, receives(), why(letter)]
    };
    let wide = || {
        let message = letter.message().id.to_string();
        [job(), job_type(), sent(&rfc3339), receives(), why(letter), message]
    };
    list.add(narrow, wide, letter.summary())
}

fn why(letter: &DeadLetter) -> String {
    match letter.done_since() {
        Some(Done::Here) => {
            "its job is done, and SQS did not confirm the delete: nothing is left to do".to_owned()
        }
        Some(Done::Later) => format!("its job is done by now; before that {}", letter.letter().why()),
        None => letter.letter().why().to_string(),
    }
}
