//! `drumline dlq stats`: counts the letters by their causes.

use std::process::ExitCode;

use clap::{ValueEnum, value_parser};
use drumline_consumer::ExitError;
use drumline_dlq::fingerprint::Fingerprint;
use drumline_dlq::groups::{Attempts, By, Example, Group, Groups};
use drumline_runtime::Environment;
use serde::Serialize;

use super::common::{A_LOOK_IS_A_RECEIVE, QueueArgs};
use super::filter::FilterArgs;
use super::hold::{Hold, HoldOptions};
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::selection::select;
use crate::format::{count, note, now_ms, rfc3339, shortest};
use crate::interrupt::unless_interrupted;
use crate::list::{Column, FORMS, List};
use crate::output::Output;

/// The number of groups that are counted separately: more than an operator reads, and small at about 500 bytes each.
const MAX_GROUPS: usize = 10_000;

/// Counts the dead letters by origin, type, failure class and reason
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq stats --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} dlq stats --by type,class --older-than 1d
  {{program}} dlq stats --limit 200000 --output json | jq -r 'select(.count > 100) | .fingerprint'

Each row counts the letters with the same origin (the queue in which they died), type, failure class and reason. In reasons, the parts \
that differ from letter to letter are masked: numbers, ids, quoted texts, paths, URLs, addresses, times. The fingerprint identifies the \
masked reason; `ls`, `export`, `replay` and `delete` accept it as --fingerprint. AGE is the age of the oldest and of the newest letter, \
from the time of sending, or on a FIFO queue from the move to the DLQ. ATTEMPTS is the lowest and the highest receive count.

If the DLQ contains more letters than the command read, the counts are a sample: a note says so, and JSON rows have the field `isSample`.

{FORMS}

{A_LOOK_IS_A_RECEIVE}

Exit status: 0 counted, even if no letter matches, 64 bad usage, 69 the queue cannot be reached, 1 any other error."))]
pub(super) struct StatsArgs {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Count by these properties
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "origin,type,class,fingerprint"
    )]
    by: Vec<Property>,
    /// Read at most this many messages, whether they match or not
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), default_value = "10000")]
    limit: u32,
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A property of `--by`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Property {
    /// The queue in which the letter died
    Origin,
    /// The job's type
    Type,
    /// The class of its last failure
    Class,
    /// Its reason, masked
    Fingerprint,
}

impl From<Property> for By {
    fn from(property: Property) -> Self {
        match property {
            Property::Origin => Self::Origin,
            Property::Type => Self::Type,
            Property::Class => Self::Class,
            Property::Fingerprint => Self::Fingerprint,
        }
    }
}

pub(super) async fn stats(args: &StatsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let StatsArgs { queue, filter, by, limit, wide, output } = args;
    let (settings, filter) = (queue.settings.read_for_tool(environment)?, filter.filter());
    let queue = DeadLetterQueue::find(queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let by: Vec<By> = by.iter().copied().map(By::from).collect();
    let mut groups = Groups::new(&by, MAX_GROUPS);
    let mut matching = 0;
    let mut look = Hold::begin(&queue, HoldOptions::limited(*limit as usize)).await?;
    let counted = unless_interrupted(async {
        loop {
            let letters = look.more().await?;
            if letters.is_empty() {
                return Ok(());
            }
            for selected in select(letters, &queue, &filter, Some(&mut reasons)).await {
                matching += 1;
                groups.add(selected.letter.letter());
            }
        }
    })
    .await;
    // The counts up to an error are still shown, as a sample.
    let seen = look.seen();
    let is_sample = counted.is_err() || seen < queue.visible;
    if counted.is_ok() || seen > 0 {
        look.eprint_notes((!filter.is_open()).then_some(matching));
    }
    if is_sample && seen > 0 {
        note(&format!("a sample: {seen} of about {}", count(queue.visible.max(seen), "letter")));
    }
    if groups.is_full() {
        note(&format!("more than {MAX_GROUPS} groups: the last row counts the letters of all further ones"));
    }
    let shown = show(&groups.into_rows(), *output, *wide, is_sample);
    look.end().await;
    reasons.eprint_notes();
    counted?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// The columns on a terminal if all letters died in one queue.
static COLUMNS: [Column; 6] = [
    Column::whole("COUNT"),
    Column::cut("TYPE", 16),
    Column::cut("CLASS", 12),
    Column::whole("FINGERPRINT"),
    Column::whole("AGE"),
    Column::cut("REASON", usize::MAX),
];

/// The columns on a terminal if letters died in several queues.
static COLUMNS_WITH_ORIGIN: [Column; 7] = [
    Column::whole("COUNT"),
    Column::cut("ORIGIN", 16),
    Column::cut("TYPE", 16),
    Column::cut("CLASS", 12),
    Column::whole("FINGERPRINT"),
    Column::whole("AGE"),
    Column::cut("REASON", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 9] =
    ["COUNT", "ORIGIN", "TYPE", "CLASS", "FINGERPRINT", "FIRST", "LAST", "ATTEMPTS", "REASON"];

fn show(rows: &[Group], output: Output, wide: bool, is_sample: bool) -> Result<(), ExitError> {
    let now = now_ms();
    let has_several = rows.iter().any(|row| row.origin != rows[0].origin);
    if has_several {
        let mut list = List::new(output, wide, &COLUMNS_WITH_ORIGIN, WIDE);
        for row in rows {
            let narrow = || {
                let [count, job_type, class, fingerprint, age, reason] = cells(row, now);
                [count, origin(row), job_type, class, fingerprint, age, reason]
            };
            list.add(narrow, || wide_cells(row), Row::of(row, is_sample))?;
        }
        return list.end();
    }
    let mut list = List::new(output, wide, &COLUMNS, WIDE);
    for row in rows {
        list.add(|| cells(row, now), || wide_cells(row), Row::of(row, is_sample))?;
    }
    list.end()
}

fn cells(row: &Group, now: u64) -> [String; 6] {
    [
        row.count.to_string(),
        text(row.job_type.as_deref()),
        text(row.class.as_deref()),
        fingerprint(row),
        age(row, now),
        reason(row),
    ]
}

fn wide_cells(row: &Group) -> [String; 9] {
    let time = |at: Option<u64>| text(at.map(rfc3339).as_deref());
    [
        row.count.to_string(),
        origin(row),
        text(row.job_type.as_deref()),
        text(row.class.as_deref()),
        fingerprint(row),
        time(row.first_sent_ms),
        time(row.last_sent_ms),
        range(&row.attempts.min.to_string(), &row.attempts.max.to_string()),
        reason(row),
    ]
}

/// Returns a dash for a property that is not known or not used for grouping.
fn text(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn fingerprint(row: &Group) -> String {
    text(row.fingerprint.map(|fingerprint| fingerprint.to_string()).as_deref())
}

/// Returns the name of the queue.
fn origin(row: &Group) -> String {
    text(row.origin.as_deref().map(|origin| origin.rsplit(':').next().unwrap_or(origin)))
}

fn reason(row: &Group) -> String {
    if row.is_rest { "(all further groups)".to_owned() } else { text(row.reason.as_deref()) }
}

/// Returns the ages of the oldest and the newest letter.
fn age(row: &Group, now: u64) -> String {
    let age = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| shortest(now.saturating_sub(at)));
    range(&age(row.first_sent_ms), &age(row.last_sent_ms))
}

fn range(first: &str, last: &str) -> String {
    if first == last { first.to_owned() } else { format!("{first}-{last}") }
}

/// A row for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    job_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    example: &'a Example,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sent_at: Option<String>,
    attempts: Attempts,
    /// True for the row of all groups for which there was no more room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_rest: bool,
    is_sample: bool,
}

impl<'a> Row<'a> {
    fn of(row: &'a Group, is_sample: bool) -> Self {
        Self {
            count: row.count,
            origin: row.origin.as_deref(),
            job_type: row.job_type.as_deref(),
            class: row.class.as_deref(),
            fingerprint: row.fingerprint,
            reason: row.reason.as_deref(),
            example: &row.example,
            first_sent_at: row.first_sent_ms.map(rfc3339),
            last_sent_at: row.last_sent_ms.map(rfc3339),
            attempts: row.attempts,
            is_rest: row.is_rest,
            is_sample,
        }
    }
}
