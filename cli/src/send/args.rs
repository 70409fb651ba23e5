//! The command line of `drumline send`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline::message::Attribute;
use drumline_dlq::pointer::Pointer;
use drumline_producer::attribute;
use jiff::Timestamp;

use super::columns::CellTypes;
use super::later::{delay, time, window};
use super::record::Field;
use crate::format::rate;
use crate::output::Output;

/// Sends jobs to a queue
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} send --queue-url URL --type email.send --payload '{\"userId\":7}'
  {program} send --queue-url URL --type email.send --payload @payload.json
  {program} send jobs.jsonl --queue-url URL            (a whole job a line)
  {program} send users.csv --queue-url URL --type email.send --rate 50/s --spread 10m
  {program} send users.csv --queue-url URL --type email.send --column group=tenant --failed left.csv
  {program} send users.csv --queue-url URL --type email.send --rate 50/s --spread 10m --resume
  zcat jobs.jsonl.gz | {program} send --queue-url URL

  {program} send --queue-url URL --type email.send --payload '{}' --attribute tenant=acme --delay 5m
  {program} send --queue-url URL --type email.send --payload '{}' --at 2027-01-01T09:00:00Z
  {program} send --queue-url URL --type shop.reindex --payload '{}' --unique shop-7 --unique-for 1h
  {program} jobs watch $({program} send --queue-url URL --type email.send --payload '{}')

The command prints the job ids, one per line, and at the end a summary on standard error. `{program} jobs` and `{program} dlq` find the \
jobs by these ids.

JSON Lines: each line is a whole job, or with --type its payload. Blank lines are ignored.

CSV: the first row names the fields of the payload; user.name and /user/name are the field name of the object user. A cell that is a plain \
number (7, -0.5) of at most 15 digits, true, false or null becomes JSON. The field of an empty cell is left out. Any other cell is a text, \
for example 007, 1e5 and +49. A column is always text if --text names it, or if its field is a text in the schema of this program's \
handler. With --csv-types text, all cells are texts, even empty ones. --column gives a column another meaning than a field of the payload: \
type, jobId, idempotencyKey, correlationId, group, delay (seconds, or a duration such as 5m), at (a time) or deduplicationId. Such a \
column overrides the flag of the same name. A jobId or a deduplicationId that occurs twice is refused.

The command refuses a job, and does not send it, if SQS would refuse it, if no worker could read it, or if it contains a secret. If this \
program has the handler of its type, the command also refuses a job that the schema or the handler would refuse (--no-check sends it). It \
sends the other jobs. Guards print a warning, once for each field, if a payload contains the name of a secret, a JWT, a card number, an \
e-mail address or a long text.

These jobs go into the outbox of DRUMLINE_OUTBOX_URL (postgres://… or redis://…; by default the store's): jobs with --at or \
--unique, jobs with a delay of more than 15m, and jobs with a delay on a FIFO queue. `{program} outbox run` sends them, and `{program} outbox ls` \
shows them. Such a job must be given as a payload with a type, not as a whole job.

The send of a FILE can be resumed. A journal (its path is printed; mode 0600; without payloads) lists the records that SQS has confirmed. \
If the send is killed or stopped, the same command with --resume sends the rest. At most one batch of ten is sent twice; its jobs have the \
same ids, so workers run them once, and a FIFO queue drops the second batch. --resume refuses a file that has changed, and prints only the \
ids of the jobs that it sends itself. After a complete send, the same command sends the whole file again, as new jobs with new ids.

The command needs sqs:SendMessage, and for an encrypted queue also kms:GenerateDataKey and kms:Decrypt.

Exit status: 0 all sent, 1 SQS did not accept some, 64 some input was refused before sending, or bad usage, 69 the queue cannot be \
reached, 129, 130 or 143 interrupted (FILE), 141 the reader of the ids closed the output, as head does.")]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct SendArgs {
    /// The jobs, as JSON Lines or CSV [default: -, standard input]
    #[arg(value_name = "FILE", conflicts_with = "payload")]
    pub(super) file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        help = "The queue of all jobs [env: DRUMLINE_QUEUE_URL]",
        long_help = "The queue of all jobs [env: DRUMLINE_QUEUE_URL]\n\nWithout this flag, each job goes to the queue that \
                     queue_by_type sets for its type, in the file that DRUMLINE_CONFIG names. If the file sets none, it \
                     goes to the queue of queue_url, which must then be the only one."
    )]
    pub(super) queue_url: Option<String>,
    /// The job's type; for a file, the type of every record
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) job_type: Option<String>,
    /// The payload: JSON, - for standard input, @ for a file
    ///
    /// Without this flag, the command reads many jobs from FILE or standard input.
    #[arg(long, value_name = "JSON|-|@FILE")]
    pub(super) payload: Option<String>,
    /// The input's format [default: by file extension, otherwise jsonl]
    #[arg(long, value_name = "jsonl|csv", value_enum, hide_possible_values = true)]
    pub(super) format: Option<Format>,
    /// A CSV column that is not a payload field; several may be given
    ///
    /// FIELD is type, jobId, idempotencyKey, correlationId, group, delay, at or deduplicationId.
    #[arg(long = "column", value_name = "FIELD=NAME", value_parser = column)]
    pub(super) columns: Vec<(Field, String)>,
    /// A CSV column whose cells are always texts
    #[arg(long = "text", hide_short_help = true, value_name = "COLUMN")]
    pub(super) texts: Vec<String>,
    /// Convert cells of CSV to JSON
    #[arg(
        long,
        hide_short_help = true,
        value_name = "json|text",
        value_enum,
        default_value = "json",
        hide_possible_values = true
    )]
    pub(super) csv_types: CellTypes,
    /// The character between the cells of CSV [default: ,]
    ///
    /// \t means a tab.
    #[arg(long, hide_short_help = true, value_name = "CHAR", value_parser = delimiter)]
    pub(super) delimiter: Option<u8>,
    /// The payload's version [default: the handler's, otherwise 1]
    ///
    /// The default is the version of this program's handler for the type, or 1 if it has none.
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) schema_version: Option<u32>,
    /// The idempotency key of the job [default: the job's id]
    #[arg(long, hide_short_help = true, value_name = "KEY", value_parser = given())]
    pub(super) idempotency_key: Option<String>,
    /// An id that related jobs share
    #[arg(long, hide_short_help = true, value_name = "ID", value_parser = given())]
    pub(super) correlation_id: Option<String>,
    /// Send after this time; beyond 15m with an outbox
    ///
    /// SQS itself delays messages by whole seconds, up to 15m, and not on FIFO queues. All other delays need an outbox, see
    /// above.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    pub(super) delay: Option<Duration>,
    /// Send at this time, with an outbox
    ///
    /// Such as 2027-01-01T09:00:00Z or 2027-01-01T09:00:00+01:00. A job whose time has passed is sent immediately.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "delay")]
    pub(super) at: Option<Timestamp>,
    /// Spread the messages over this time, with a delay for each
    ///
    /// Each message gets its own delay of up to this time, in addition to --delay or --at.
    #[arg(long, hide_short_help = true, value_name = "DURATION", value_parser = delay)]
    pub(super) spread: Option<Duration>,
    /// Add the job to an outbox unless another one holds this key
    ///
    /// If another job of the same type holds the key, the command prints the id of that job. A job holds its key for the
    /// time of --unique-for, even after it is done.
    #[arg(long, hide_short_help = true, value_name = "KEY", value_parser = given(), requires = "payload")]
    pub(super) unique: Option<String>,
    /// The time that the job holds its key [default: 1h]
    #[arg(long, hide_short_help = true, value_name = "DURATION", value_parser = window, requires = "unique")]
    pub(super) unique_for: Option<Duration>,
    /// The message group: required on FIFO queues; on others, the tenant
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// Take the group from each body, such as /payload/tenant
    #[arg(long, hide_short_help = true, value_name = "POINTER", conflicts_with = "group")]
    pub(super) group_from: Option<Pointer>,
    /// The id by which a FIFO queue drops duplicates [default: a new one]
    #[arg(long, hide_short_help = true, value_name = "ID", value_parser = given())]
    pub(super) deduplication_id: Option<String>,
    /// A message attribute; several may be given
    ///
    /// Such as tenant=acme, size:Number=7, doc:String.json={} or sum:Binary=AAEC (base64).
    #[arg(long = "attribute", value_name = "NAME[:TYPE]=VALUE", value_parser = attribute)]
    pub(super) attributes: Vec<(String, Attribute)>,
    /// Send at most this many messages a second
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Continue a send that was stopped or killed
    #[arg(long, requires = "file")]
    pub(super) resume: bool,
    /// The file of the journal [default: one for FILE and queue]
    ///
    /// The default file is in the folder drumline/send of `$XDG_STATE_HOME`, or of `~/.local/state`.
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "file")]
    pub(super) journal: Option<PathBuf>,
    /// Write refused and failed records into this file
    ///
    /// The command writes these records as they were in the input, so you can send them by the same command with this file.
    /// A send with --failed counts as finished, and cannot be resumed.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(super) failed: Option<PathBuf>,
    /// Also send jobs that their handlers would refuse
    #[arg(long, hide_short_help = true)]
    pub(super) no_check: bool,
    /// Refuse payloads that the guards would only warn about
    #[arg(long, hide_short_help = true, conflicts_with = "allow_secrets")]
    pub(super) deny: bool,
    /// A field that the guards accept as it is; several may be given
    ///
    /// For example `report.make:/db`, or `report.make:/users/*/token=jwt` for one kind of finding. The fields of
    /// `DRUMLINE_GUARD_ALLOW` are allowed too.
    #[arg(long, hide_short_help = true, value_name = "TYPE:/POINTER[=KIND]")]
    pub(super) allow: Vec<String>,
    /// Also send payloads that look like secrets
    ///
    /// Disables the guards for all payloads. To exempt single fields only, use --allow.
    #[arg(long)]
    pub(super) allow_secrets: bool,
    /// Job ids, or JSON
    ///
    /// JSON means one object per line with jobId, messageId, type and queue; a waiting job has due instead of messageId.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

/// The format of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Jsonl,
    Csv,
}

impl Format {
    /// Returns the format for the extension of a file.
    pub(super) fn of(file: &Path) -> Self {
        let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        if is_csv { Self::Csv } else { Self::Jsonl }
    }
}

impl SendArgs {
    /// Returns the file of the jobs; `None` for standard input, which may be given as `-`.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref().filter(|file| *file != Path::new("-"))
    }

    /// Returns the character between the cells of CSV.
    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter.unwrap_or(b',')
    }

    /// Returns the format of the input.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or_else(|| self.file().map_or(Format::Jsonl, Format::of))
    }

    /// Returns the options that determine what is sent for a record: a resumed send must have the same options.
    pub(super) fn deciding(&self) -> Vec<String> {
        let Self { job_type, schema_version, columns, texts, group, group_from, correlation_id, .. } = self;
        let mut options = vec![format!("--format={:?}", self.format())];
        let mut add = |name: &str, value: Option<String>| {
            options.extend(value.map(|value| format!("--{name}={value}")));
        };
        add("type", job_type.clone());
        add("schema-version", schema_version.map(|version| version.to_string()));
        for (field, name) in columns {
            add("column", Some(format!("{field:?}={name}")));
        }
        for name in texts {
            add("text", Some(name.clone()));
        }
        add("csv-types", (self.csv_types == CellTypes::Text).then(|| "text".to_owned()));
        add("delimiter", self.delimiter.map(|delimiter| char::from(delimiter).to_string()));
        add("group", group.clone());
        add("group-from", group_from.as_ref().map(ToString::to_string));
        add("correlation-id", correlation_id.clone());
        add("at", self.at.map(|time| time.to_string()));
        add("delay", self.delay.map(in_seconds));
        add("spread", self.spread.map(in_seconds));
        for (name, value) in &self.attributes {
            add("attribute", Some(format!("{name}:{}={:?}", value.data_type(), value.value())));
        }
        options
    }
}

/// Formats a delay for journals.
fn in_seconds(delay: Duration) -> String {
    if delay.subsec_nanos() == 0 { format!("{}s", delay.as_secs()) } else { format!("{delay:?}") }
}

fn column(text: &str) -> Result<(Field, String), String> {
    let fields =
        || <Field as clap::ValueEnum>::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    let (field, name) = text.split_once('=').ok_or("write it as FIELD=NAME, such as group=tenant")?;
    let field = <Field as clap::ValueEnum>::from_str(field, false).map_err(|_| {
        let names: Vec<String> = fields().map(|value| value.get_name().to_owned()).collect();
        format!("{field:?} is none of {}", names.join(", "))
    })?;
    Ok((field, name.to_owned()))
}

/// Returns a parser that refuses an empty value, which usually comes from an unset variable.
fn given() -> clap::builder::NonEmptyStringValueParser {
    clap::builder::NonEmptyStringValueParser::new()
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        _ => Err("must be one character of ASCII, such as ; or \\t for a tab".to_owned()),
    }
}
