//! `drumline dlq ls`: a line for each message, and why it is there.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

use clap::value_parser;
use comfy_table::Table;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::browse::Browse;
use super::common::{A_LOOK_IS_A_RECEIVE, QueueArgs};
use super::dead_letter::{DeadLetter, Done};
use super::filter::Filter;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use crate::format::{brief, now_ms, one_line, table, when};
use crate::output::{Output, print};

/// How much of a reason is in the table; JSON has all of it.
const LONGEST_REASON: usize = 160;

/// Lists the dead letters: which jobs, since when, received how often, and why
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  {{program}} dlq ls --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq ls --type email.send --reason 'no such user'
  {{program}} dlq ls --older-than 10d --limit 5000
  {{program}} dlq ls --dlq-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq --output json \\
    | jq -r '.why.reason' | sort | uniq -c | sort -rn

{A_LOOK_IS_A_RECEIVE}

Receives are counted as they were before this look.
Exit status: 0 listed, also if nothing was found, 64 bad usage, 69 the queue cannot be reached, 1 anything else."))]
pub(super) struct LsArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    filter: Filter,
    /// Look at so many messages at most, whether they match or not
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), default_value = "100")]
    limit: u32,
    /// For people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let LsArgs { queue, filter, limit, output } = args;
    let settings = queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let mut look = Browse::begin(&queue, *limit as usize);
    let mut list = List::new(*output == Output::Json);
    let listed = Browse::unless_interrupted(async {
        loop {
            let messages = look.more().await?;
            if messages.is_empty() {
                return Ok(());
            }
            let mut letters: Vec<DeadLetter> =
                messages.into_iter().map(|message| DeadLetter::new(message, &queue.intake)).collect();
            reasons.add(&mut letters).await;
            let now = now_ms();
            for letter in letters.iter().filter(|letter| filter.matches(letter, now)) {
                look.bar.suspend(|| list.add(letter, now))?;
            }
        }
    })
    .await;
    // What was seen before it failed is put back and shown all the same.
    let matching = (!filter.is_open()).then_some(list.count);
    let shown = list.end();
    look.end(listed.is_ok(), matching).await;
    reasons.eprint_notes();
    listed?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// The output: a table at the end, or lines of JSON as they come.
struct List {
    table: Option<Table>,
    count: usize,
}

impl List {
    fn new(json: bool) -> Self {
        let header = ["MESSAGE", "JOB", "TYPE", "SENT", "RECEIVED", "WHY"];
        Self { table: (!json).then(|| table(header, stdout().is_terminal())), count: 0 }
    }

    fn add(&mut self, letter: &DeadLetter, now: u64) -> Result<(), ExitError> {
        self.count += 1;
        let Some(table) = &mut self.table else {
            return print(|out| out.json_line(&letter.summary()));
        };
        table.add_row([
            one_line(&letter.message().id),
            one_line(letter.job_id()),
            letter.job_type().map_or_else(|| "-".to_owned(), one_line),
            letter.sent_ms().map_or_else(|| "-".to_owned(), |sent| when(sent, now)),
            letter.receives().to_string(),
            brief(&why(letter), LONGEST_REASON),
        ]);
        Ok(())
    }

    fn end(self) -> Result<(), ExitError> {
        match self.table {
            Some(table) if self.count > 0 => print(|out| writeln!(out, "{table}")),
            _ => Ok(()),
        }
    }
}

fn why(letter: &DeadLetter) -> String {
    match letter.done_since() {
        Some(Done::Here) => {
            "its job is done, and SQS did not confirm the delete: nothing is left to do".to_owned()
        }
        Some(Done::Later) => format!("its job is done by now; before that {}", letter.why()),
        None => letter.why().to_string(),
    }
}
