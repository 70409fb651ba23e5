//! `drumline dlq show`: prints all details of one message.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::value_parser;
use drumline::message::{Attribute, AttributeValue};
use drumline_consumer::ExitError;
use drumline_consumer::job_view::JobView;
use drumline_runtime::Environment;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::common::{A_LOOK_IS_A_RECEIVE, QueueArgs};
use super::dead_letter::{DeadLetter, Summary};
use super::hold::{Hold, HoldOptions};
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use crate::format::{count, millis, now_ms, one_line, rfc3339, when};
use crate::interrupt::unless_interrupted;
use crate::job_text::write_job;
use crate::output::{Output, print};
use crate::pretty::pretty;

/// Shows one dead letter completely: body, attributes, history
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq show 7ae2c3f4-0f6c-4a3e-9d0f-5a7f0f8f2b11 --queue-url https://sqs.…/jobs
  {{program}} dlq show 01JQ3ZC5T8M1Y4 --output json | jq -r .body > body.json

The output contains the body. Bodies should not contain secrets, but this one might.

SQS cannot find a message by its id, so the command receives messages until it finds this one.

{A_LOOK_IS_A_RECEIVE}

Exit status: 0 shown, 1 not found, 64 bad usage, 69 the queue cannot be reached."))]
pub(super) struct ShowArgs {
    /// The id of the message or of its job
    id: String,
    #[command(flatten)]
    queue: QueueArgs,
    /// Read at most this many messages, whether they match or not
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), default_value = "1000")]
    limit: u32,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let ShowArgs { id, queue, limit, output } = args;
    let settings = queue.settings.read_for_tool(environment)?;
    let queue = DeadLetterQueue::find(queue, &settings).await?;
    let mut reasons = ReasonLookup::open(&settings).await?;
    let mut look = Hold::begin(&queue, HoldOptions::limited(*limit as usize)).await?;
    let found = unless_interrupted(async {
        loop {
            let messages = look.more().await?;
            if messages.is_empty() {
                return Ok(None);
            }
            let letters = join_all(messages.into_iter().map(|held| queue.letter(held.message))).await;
            let letter = letters.into_iter().find(|letter| letter.letter().is_called(id));
            if let Some(letter) = letter {
                let mut found = [letter];
                reasons.add(&mut found).await;
                return Ok(found.into_iter().next());
            }
        }
    })
    .await;
    let seen = look.seen();
    if found.is_ok() || seen > 0 {
        look.eprint_notes(None);
    }
    look.end().await;
    let Some(letter) = found? else {
        return Err(ExitError::other(format!(
            "no message and no job {id} among the {} of {} that were looked at",
            count(seen, "message"),
            queue.name
        )));
    };
    print(|out| match output {
        Output::Json => out.json_line(&All::of(&letter)),
        Output::Table => {
            let is_terminal = out.is_terminal();
            write_letter(out, &letter, now_ms(), is_terminal)
        }
    })?;
    reasons.eprint_notes();
    Ok(ExitCode::SUCCESS)
}

/// A letter with all its details, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct All<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_received_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_header: Option<&'a str>,
    /// Attributes as texts; bytes in hexadecimal notation.
    attributes: Map<String, Value>,
    /// The reason why the body is no job.
    #[serde(skip_serializing_if = "Option::is_none")]
    undecodable: Option<&'a str>,
    /// The body as it is in the message.
    body: &'a str,
    /// The S3 object that contains the payload, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The body as a worker decodes it, if it was in S3 or compressed and could be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a JobView>,
}

impl<'a> All<'a> {
    fn of(letter: &'a DeadLetter) -> Self {
        let message = letter.message();
        let attribute = |attribute: &Attribute| match attribute.value() {
            AttributeValue::Text(text) => json!(text),
            AttributeValue::Binary(bytes) => json!({ "hex": hex(bytes) }),
        };
        Self {
            summary: letter.summary(),
            first_received_at: message.first_received_at.map(|at| rfc3339(millis(at))),
            deduplication_id: message.deduplication_id.as_deref(),
            sequence_number: message.sequence_number.as_deref(),
            trace_header: message.trace_header.as_deref(),
            attributes: message
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect(),
            undecodable: letter.letter().envelope().err(),
            body: &message.body,
            pointer: pointer(letter),
            opened: letter.letter().opened().map(|opened| &*opened.body),
            history: letter.history(),
        }
    }
}

/// Returns the place of the object that contains the payload.
fn pointer(letter: &DeadLetter) -> Option<String> {
    letter.letter().encoded()?.pointer.as_ref().map(ToString::to_string)
}

fn write_letter(out: &mut impl Write, letter: &DeadLetter, now: u64, is_terminal: bool) -> io::Result<()> {
    let message = letter.message();
    let mut fact = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name:<10}{value}"),
        None => Ok(()),
    };
    let text = |text: &Option<String>| text.as_deref().map(one_line);
    fact("MESSAGE", Some(one_line(&message.id)))?;
    fact("JOB", Some(one_line(letter.letter().job_id())))?;
    fact("TYPE", letter.letter().job_type().map(one_line))?;
    fact("SENT", letter.letter().sent_ms().map(|sent| when(sent, now)))?;
    fact("RECEIVED", Some(count(letter.letter().receives() as usize, "time")))?;
    fact("FIRST", message.first_received_at.map(|first| when(millis(first), now)))?;
    fact("GROUP", text(&message.group))?;
    fact("DEDUP ID", text(&message.deduplication_id))?;
    fact("SEQUENCE", text(&message.sequence_number))?;
    fact("TRACE", text(&message.trace_header))?;
    fact("WHY", Some(one_line(&letter.letter().why().to_string())))?;
    fact("NO JOB", letter.letter().envelope().err().map(one_line))?;
    if !message.attributes.is_empty() {
        writeln!(out, "\nATTRIBUTES")?;
        for (name, value) in &message.attributes {
            match value.value() {
                AttributeValue::Text(text) => writeln!(out, "{}: {}", one_line(name), one_line(text))?,
                AttributeValue::Binary(bytes) => {
                    writeln!(out, "{}: {} (hexadecimal)", one_line(name), hex(bytes))?;
                }
            }
        }
    }
    writeln!(out, "\nBODY\n{}", pretty(&message.body))?;
    if let Some(opened) = letter.letter().opened() {
        let place = pointer(letter).map(|place| format!(" IN {}", one_line(&place))).unwrap_or_default();
        writeln!(out, "\nPAYLOAD{place}\n{}", pretty(&opened.body))?;
    }
    writeln!(out, "\nHISTORY")?;
    match letter.history() {
        Some(view) => write_job(out, view, now, is_terminal),
        None => writeln!(out, "Nothing is known of its job."),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use drumline::message::{Intake, Message};
    use drumline_store::JobState;

    use super::*;
    use crate::examples::{attempt, claim, job};

    const NOW: u64 = 1_700_000_000_000;

    fn letter() -> DeadLetter {
        let message = Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","payload":{"n":12345678901234567890123}}"#.to_owned(),
            receive_count: 6,
            sent_at: Some(Duration::from_millis(NOW - 60_000)),
            group: Some("g".to_owned()),
            attributes: [
                ("note".to_owned(), Attribute::text("a\u{1b}b")),
                ("raw".to_owned(), Attribute::binary(vec![0, 255])),
            ]
            .into(),
            ..Message::default()
        };
        let mut letter = DeadLetter::new(message, &Intake::default());
        let mut claim = claim(JobState::Failed);
        claim.failure_reason = Some("no such user".to_owned());
        letter.learn(Some(job(Some(claim), vec![attempt("dead_letter", "no such user")]).into()));
        letter
    }

    #[test]
    fn people_see_body_attributes_and_history() {
        let mut out = Vec::new();
        write_letter(&mut out, &letter(), NOW, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        for words in [
            "MESSAGE   m-1",
            "SENT      2023-11-14T22:12:20Z, 1m ago",
            "RECEIVED  5 times",
            "GROUP     g",
            "WHY       rejected: no such user",
            "note: a b",
            "raw: 00ff (hexadecimal)",
            "    \"n\": 12345678901234567890123",
            "VERDICT   no such user",
            "failed permanently",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn programs_get_the_body_as_it_is() {
        let letter = letter();
        let json = serde_json::to_value(All::of(&letter)).unwrap();
        assert_eq!(json["body"], letter.message().body);
        assert_eq!(
            (&json["attributes"]["raw"]["hex"], &json["why"]["from"]),
            (&"00ff".into(), &"history".into())
        );
        assert_eq!(json["history"]["attempts"][0]["class"], "rejected");
        assert_eq!(json["receives"], 5);
    }
}
