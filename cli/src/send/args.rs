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

It prints the job ids, one a line, by which `{program} jobs` and `{program} dlq` find the jobs, and at the end a summary on standard \
error.

JSON Lines: a whole job a line, or with --type its payload. Blank lines do not count.

CSV: the first row names the fields of the payload; user.name and /user/name are the field name of the object user. Cells that are \
plain numbers (7, -0.5) of at most 15 digits, true, false or null become JSON, empty ones are left out, and all others are text, also 007, 1e5 and +49. \
--text COLUMN keeps a column as text, and so does a schema of this program's handler that has a text there; --csv-types text all of \
them, also empty cells. --column gives a column another meaning than a \
field of the payload: type, jobId, idempotencyKey, correlationId, group, delay (seconds, or like 5m), at (a time) or deduplicationId. It comes \
before the flag of that name. A jobId or a deduplicationId that comes twice is refused.

A job is refused before it is sent if SQS would refuse it, if no worker could read it, or if it has a secret; and if this program has \
the handler of its type, also if its schema does not allow it or the handler would refuse it (--no-check sends it). The others are \
sent. Guards also warn, once for each field: of names of secrets, JWTs, card numbers, e-mail addresses and long texts.

Jobs that wait, for --at, for more than SQS's 15m, for a FIFO queue after a delay, or for the key of --unique, go into the outbox of \
DRUMLINE_OUTBOX_URL (postgres://… or redis://…; by default the store's), and `{program} outbox run` sends them. `{program} outbox ls` \
shows them. They are given by a payload and its type, not as whole jobs.

A FILE is safe to send: a journal (its path is printed; mode 0600; without payloads) says which records SQS has confirmed. If the send \
is killed or stopped, the same command with --resume sends the others. At most one batch of ten is sent twice; its jobs have the same \
ids, so that workers run them once, and a FIFO queue drops it. A file that has changed is not resumed. To send a whole file again is \
new work, with new ids. --resume prints the ids of the jobs that it sends itself, not those of an earlier process.

It needs sqs:SendMessage, for an encrypted queue also kms:GenerateDataKey and kms:Decrypt.

Exit status: 0 all sent, 1 SQS did not take some, 64 some input was refused before sending, or bad usage, 69 the queue cannot be \
reached, 129, 130 or 143 interrupted (FILE), 141 the reader of the ids has left, as head does.")]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct SendArgs {
    /// The jobs, as JSON Lines or CSV [default: -, standard input]
    #[arg(value_name = "FILE", conflicts_with = "payload")]
    pub(super) file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        help = "The queue of all jobs [env: DRUMLINE_QUEUE_URL]",
        long_help = "The queue of all jobs [env: DRUMLINE_QUEUE_URL]\n\nWithout it, each job goes to the queue of its type in \
                     queue_by_type of the file that DRUMLINE_CONFIG names, else to the one queue of queue_url."
    )]
    pub(super) queue_url: Option<String>,
    /// The job's type; for a file, the type of every record
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) job_type: Option<String>,
    /// The payload: JSON, - for standard input, @ for a file
    ///
    /// Without it, FILE or standard input contains many jobs.
    #[arg(long, value_name = "JSON|-|@FILE")]
    pub(super) payload: Option<String>,
    /// The input's format [default: by file extension, otherwise jsonl]
    #[arg(long, value_name = "jsonl|csv", value_enum, hide_possible_values = true)]
    pub(super) format: Option<Format>,
    /// The column of CSV that is not a field; several may be given
    ///
    /// FIELD is type, jobId, idempotencyKey, correlationId, group, delay, at or deduplicationId.
    #[arg(long = "column", value_name = "FIELD=NAME", value_parser = column)]
    pub(super) columns: Vec<(Field, String)>,
    /// The column of CSV whose cells are always texts
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
    /// Spread the messages over a time, with a delay for each
    ///
    /// Each message gets its own delay of up to this time, in addition to --delay or --at.
    #[arg(long, hide_short_help = true, value_name = "DURATION", value_parser = delay)]
    pub(super) spread: Option<Duration>,
    /// Add the job to an outbox unless one of its type holds this key
    ///
    /// If another job holds the key, its id is printed. A job holds the key for the time of --unique-for, even when it is done.
    #[arg(long, hide_short_help = true, value_name = "KEY", value_parser = given(), requires = "payload")]
    pub(super) unique: Option<String>,
    /// The time that the job holds its key [default: 1h]
    #[arg(long, hide_short_help = true, value_name = "DURATION", value_parser = window, requires = "unique")]
    pub(super) unique_for: Option<Duration>,
    /// The message group: required on FIFO queues, otherwise a tenant
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
    /// The default is in drumline/send in the folder of states: `$XDG_STATE_HOME`, else `~/.local/state`.
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "file")]
    pub(super) journal: Option<PathBuf>,
    /// Write refused and failed records into this file
    ///
    /// Records are written as they were in the input, so that the same command with this file sends them. The send is then
    /// over, and cannot be resumed.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(super) failed: Option<PathBuf>,
    /// Also send jobs that their handlers would refuse
    #[arg(long, hide_short_help = true)]
    pub(super) no_check: bool,
    /// Refuse payloads that the guards would only warn about
    #[arg(long, hide_short_help = true, conflicts_with = "allow_secrets")]
    pub(super) deny: bool,
    /// A field in which the guards' findings are allowed; several may be given
    ///
    /// Such as `report.make:/db`, or `report.make:/users/*/token=jwt` for one kind. In addition to `DRUMLINE_GUARD_ALLOW`.
    #[arg(long, hide_short_help = true, value_name = "TYPE:/POINTER[=KIND]")]
    pub(super) allow: Vec<String>,
    /// Also send payloads that look like secrets
    ///
    /// Disables the guards for all payloads. Use --allow to except single fields.
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
