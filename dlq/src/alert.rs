//! Alerts of new fingerprints: the document that a webhook or a topic receives. No payloads: reasons are masked.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::fingerprint::Fingerprint;

/// The maximum length of a mail's subject, in characters, with which SNS sends the mail to people. See
/// [Publish](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).
const MAX_SUBJECT: usize = 100;

/// Deaths with one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The name of the DLQ.
    pub dlq: String,
    /// The queue in which the first of them died.
    pub origin: Option<String>,
    /// The type of its job.
    pub job_type: Option<String>,
    /// The class of its failure.
    pub class: Option<String>,
    /// The fingerprint of the reason.
    pub fingerprint: Fingerprint,
    /// The masked reason of the deaths.
    pub reason: String,
    /// The number of deaths since the last alert of this fingerprint.
    pub count: u64,
    /// True if there may be more: a look has not shown all letters.
    pub is_sample: bool,
    /// True if the fingerprint was never reported before.
    pub is_new: bool,
    /// The time of the first death, in milliseconds since the Unix epoch.
    pub first_at_ms: u64,
    /// The number of letters in the DLQ.
    pub depth: Option<u64>,
    /// Further fingerprints in this alert, if there are too many for one alert each.
    pub others: Others,
}

/// Fingerprints without their own alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// Their number.
    pub fingerprints: u64,
    /// The number of their deaths.
    pub letters: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    text: String,
    dlq: &'a str,
    origin: Option<&'a str>,
    #[serde(rename = "type")]
    job_type: Option<&'a str>,
    class: Option<&'a str>,
    fingerprint: Fingerprint,
    reason: &'a str,
    count: u64,
    is_sample: bool,
    is_new: bool,
    first_at: u64,
    depth: Option<u64>,
    other_fingerprints: u64,
    other_letters: u64,
}

/// The names of an alert's fields, in templates and in the document.
pub const FIELDS: [&str; 14] = [
    "text",
    "dlq",
    "origin",
    "type",
    "class",
    "fingerprint",
    "reason",
    "count",
    "isSample",
    "isNew",
    "firstAt",
    "depth",
    "otherFingerprints",
    "otherLetters",
];

impl Alert {
    /// Returns the alert on one line, for people.
    pub fn text(&self) -> String {
        let Self { dlq, count, fingerprint, reason, .. } = self;
        let what = match (count, self.is_new) {
            (1, true) => "new dead letter",
            (1, false) => "more dead letter",
            (_, true) => "new dead letters",
            (_, false) => "more dead letters",
        };
        let named = [self.job_type.as_deref(), self.class.as_deref()];
        let named: Vec<&str> = named.into_iter().flatten().collect();
        let named = if named.is_empty() { "unknown type".to_owned() } else { named.join(" ") };
        let at_least = if self.is_sample { "at least " } else { "" };
        let Others { fingerprints, letters } = self.others;
        let others = if letters == 0 {
            String::new()
        } else {
            format!("; and {letters} more for {fingerprints} further reasons, see `drumline dlq stats`")
        };
        format!("{dlq}: {at_least}{count} {what}, {named}: {reason} ({fingerprint}){others}")
    }

    /// Returns the alert on one line of ASCII, at most as long as a mail's subject.
    pub fn subject(&self) -> String {
        self.text()
            .chars()
            .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
            .take(MAX_SUBJECT)
            .collect()
    }

    /// Returns the document: an object with the [fields](FIELDS) of the alert.
    pub fn document(&self) -> Map<String, Value> {
        let document = Document {
            text: self.text(),
            dlq: &self.dlq,
            origin: self.origin.as_deref(),
            job_type: self.job_type.as_deref(),
            class: self.class.as_deref(),
            fingerprint: self.fingerprint,
            reason: &self.reason,
            count: self.count,
            is_sample: self.is_sample,
            is_new: self.is_new,
            first_at: self.first_at_ms,
            depth: self.depth,
            other_fingerprints: self.others.fingerprints,
            other_letters: self.others.letters,
        };
        match serde_json::to_value(document) {
            Ok(Value::Object(fields)) => fields,
            // A struct of texts and numbers is an object.
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// A JSON document with placeholders in its texts, such as `{"text":"{{text}}","severity":"page"}`.
///
/// ```
/// use drumline_dlq::alert::Template;
///
/// assert!(Template::parse(r#"{"text": "{{text}}", "n": "{{count}}"}"#).is_ok());
/// assert!(Template::parse(r#"{"text": "{{user}}"}"#).unwrap_err().starts_with("{{user}} is no field of an alert"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Value);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If it is no JSON, or names a field that alerts do not have.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("the template is no JSON: {error}"))?;
        check(&value)?;
        Ok(Self(value))
    }

    /// Fills in an alert. A text that consists of one placeholder becomes the field itself, even if that is a number.
    pub fn fill(&self, alert: &Alert) -> Value {
        filled(&self.0, &alert.document())
    }
}

/// A part of a text.
enum Part<'a> {
    Text(&'a str),
    Field(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        parts.extend([Part::Text(before), Part::Field(name.trim())]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| !matches!(part, Part::Text("")));
    parts
}

fn check(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => parts(text).iter().try_for_each(|part| match part {
            Part::Field(name) if !FIELDS.contains(name) => {
                Err(format!("{{{{{name}}}}} is no field of an alert; there are {}", FIELDS.join(", ")))
            }
            Part::Field(_) | Part::Text(_) => Ok(()),
        }),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(fields) => fields.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn filled(value: &Value, fields: &Map<String, Value>) -> Value {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    match value {
        Value::String(text) => match &parts(text)[..] {
            [Part::Field(name)] => field(name),
            parts => Value::String(parts.iter().map(|part| text_of(part, &field)).collect()),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, fields)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled(value, fields))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn text_of(part: &Part<'_>, field: &impl Fn(&str) -> Value) -> String {
    match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Field(name) => match field(name) {
            Value::String(text) => text,
            Value::Null => "unknown".to_owned(),
            value => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn alert() -> Alert {
        Alert {
            dlq: "jobs-dlq".to_owned(),
            origin: Some("jobs".to_owned()),
            job_type: Some("email.send".to_owned()),
            class: Some("rejected".to_owned()),
            fingerprint: Fingerprint::of_reason("no user 17"),
            reason: "no user <n>".to_owned(),
            count: 12,
            is_sample: false,
            is_new: true,
            first_at_ms: 1_000,
            depth: Some(40),
            others: Others::default(),
        }
    }

    #[test]
    fn an_alert_says_what_died_where_and_why() {
        let fingerprint = Fingerprint::of_reason("no user 17");
        let text = alert().text();
        assert_eq!(
            text,
            format!("jobs-dlq: 12 new dead letters, email.send rejected: no user <n> ({fingerprint})")
        );
        let unknown = Alert { job_type: None, class: None, count: 1, is_new: false, ..alert() };
        assert_eq!(
            unknown.text(),
            format!("jobs-dlq: 1 more dead letter, unknown type: no user <n> ({fingerprint})")
        );
        let storm = Alert { is_sample: true, others: Others { fingerprints: 2, letters: 7 }, ..alert() };
        assert_eq!(
            storm.text(),
            format!(
                "jobs-dlq: at least 12 new dead letters, email.send rejected: no user <n> ({fingerprint}); \
                 and 7 more for 2 further reasons, see `drumline dlq stats`"
            )
        );
        let long = Alert { reason: format!("Größe {}", "x".repeat(200)), ..alert() };
        assert!(long.subject().is_ascii() && long.subject().len() == MAX_SUBJECT);
        let document = Value::Object(alert().document());
        assert_eq!(
            document,
            json!({
                "text": text, "dlq": "jobs-dlq", "origin": "jobs", "type": "email.send", "class": "rejected",
                "fingerprint": fingerprint.to_string(), "reason": "no user <n>", "count": 12, "isSample": false,
                "isNew": true, "firstAt": 1_000, "depth": 40, "otherFingerprints": 0, "otherLetters": 0,
            })
        );
        let names: std::collections::BTreeSet<&str> =
            document.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, FIELDS.into());
    }

    #[test]
    fn a_template_is_filled_after_it_was_parsed() {
        let quoted = Alert { reason: r#"no "user", {{count}} \"#.to_owned(), origin: None, ..alert() };
        let table = [
            (r#"{"text":"{{text}}"}"#, json!({ "text": quoted.text() })),
            (r#"{"n":"{{count}}","t":"{{ count }} of {{depth}}"}"#, json!({ "n": 12, "t": "12 of 40" })),
            (
                r#"["{{reason}}", {"a":["{{type}}!"]}, 7, null]"#,
                json!([r#"no "user", {{count}} \"#, { "a": ["email.send!"] }, 7, null]),
            ),
            (r#"{"o":"{{origin}}","p":"from {{origin}}"}"#, json!({ "o": null, "p": "from unknown" })),
            (r#"{"a":"{{count","b":"}}","c":"{}"}"#, json!({ "a": "{{count", "b": "}}", "c": "{}" })),
        ];
        for (template, expected) in table {
            assert_eq!(Template::parse(template).unwrap().fill(&quoted), expected, "{template}");
        }
    }

    #[test]
    fn a_template_that_cannot_be_filled_is_refused() {
        for (text, says) in [("{", "is no JSON"), (r#"{"a":["{{payload}}"]}"#, "{{payload}} is no field")] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
