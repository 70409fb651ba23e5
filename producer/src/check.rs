//! The check of a body before it is sent: what SQS refuses, what no consumer understands, and what does not belong in a queue.

use drumline::message::{Envelope, Message};
use drumline_runtime::limits::{MAX_MESSAGE_BYTES, is_allowed};
use serde_json::Value;

use crate::attributes::{Attributes, size};

/// Keys that name secrets, in lower case and without separators.
const SECRET_KEYS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "secretkey",
    "apikey",
    "accesstoken",
    "authtoken",
    "authorization",
    "privatekey",
    "clientsecret",
];

/// How well-known secrets begin.
const SECRET_BEGINNINGS: [&str; 8] =
    ["AKIA", "ASIA", "-----BEGIN ", "ghp_", "github_pat_", "xoxb-", "xoxp-", "sk_live_"];

/// Shorter values that begin like a secret are words.
const SHORTEST_SECRET: usize = 16;

/// Accepts a body with these attributes that may be sent as a job. Returns the job as a worker decodes it.
///
/// # Errors
/// The reason for which it may not be sent, in words.
pub fn check(body: &str, attributes: &Attributes, secrets_allowed: bool) -> Result<Envelope, String> {
    let bytes = body.len() + size(attributes);
    if bytes > MAX_MESSAGE_BYTES {
        return Err(format!(
            "{bytes} bytes are more than SQS's 1,048,576: put the data into S3 and send a reference"
        ));
    }
    if let Some(c) = body.chars().find(|c| !is_allowed(*c)) {
        return Err(format!(
            "SQS does not take the character U+{:04X}: write it as \\u{:04x} in JSON",
            u32::from(c),
            u32::from(c)
        ));
    }
    let message = Message { body: body.to_owned(), attributes: attributes.clone(), ..Message::default() };
    let envelope = Envelope::decode(&message).map_err(|error| error.to_string())?;
    if secrets_allowed {
        return Ok(envelope);
    }
    let payload = serde_json::from_str(envelope.payload.get()).map_err(|error| error.to_string())?;
    match secret(&payload, "payload") {
        Some(place) => Err(format!(
            "{place} looks like a secret, and queues keep and show what they are sent: send a reference to it \
             (--allow-secrets sends it all the same)"
        )),
        None => Ok(envelope),
    }
}

/// Where a secret is, if there is one.
fn secret(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let place = format!("{place}.{key}");
            let plain: String =
                key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
            let named =
                SECRET_KEYS.contains(&plain.as_str()) && value.as_str().is_some_and(|text| !text.is_empty());
            if named { Some(place) } else { secret(value, &place) }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| secret(item, &format!("{place}[{index}]")))
        }
        Value::String(text) => {
            let begins = SECRET_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
            (begins && text.len() >= SHORTEST_SECRET).then(|| place.to_owned())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::attributes::{attribute, attributes};

    #[test]
    fn what_cannot_or_should_not_be_sent_is_refused_with_words() {
        let job = |payload: &str| format!(r#"{{"type":"a.b","payload":{payload}}}"#);
        let table = [
            (job(r#"{"id":1}"#), None),
            (job(r#"{"text":"a\u0001b \ud83d\ude00 ü"}"#), None),
            (job("\"\u{1}\""), Some("U+0001")),
            (job("\"\u{FFFF}\""), Some("U+FFFF")),
            (job(&format!("\"{}\"", "x".repeat(MAX_MESSAGE_BYTES))), Some("1,048,576")),
            ("{".to_owned(), Some("not a JSON object")),
            ("{}".to_owned(), Some("`type`")),
            (job(r#"{"user":{"api_key":"abc"}}"#), Some("payload.user.api_key")),
            (job(r#"{"password":""}"#), None),
            (job(r#"{"keys":["AKIAIOSFODNN7EXAMPLE"]}"#), Some("payload.keys[0]")),
            (job(r#"{"city":"AKIA"}"#), None),
        ];
        for (body, refused) in table {
            let result = check(&body, &Attributes::new(), false).map(|_| ());
            match refused {
                None => assert_eq!(result, Ok(()), "{body:.80}"),
                Some(says) => {
                    assert!(result.as_ref().is_err_and(|e| e.contains(says)), "{body:.80}: {result:?}");
                }
            }
        }
        assert!(check(&job(r#"{"secret":"x"}"#), &Attributes::new(), true).is_ok());
    }

    #[test]
    fn attributes_count_and_can_name_the_type() {
        let body = format!("\"{}\"", "x".repeat(MAX_MESSAGE_BYTES - 22));
        let with = |text: &str| attributes([attribute(text).unwrap()]).unwrap();
        let envelope = check(&body, &with("messageType=a.b"), false).unwrap();
        assert_eq!((&*envelope.job_type, envelope.job_id), ("a.b", None));
        let refused = check(&body, &with("messageType=a.bc"), false).err();
        assert!(refused.is_some_and(|error| error.contains("1048577 bytes")));
    }
}
