//! The effect of an invocation's result on the messages of its batch, as
//! [Lambda documents it](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;

use crate::invoked::Failure;

/// The effect of a result on the messages of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All messages are deleted.
    Success,
    /// The messages with these ids stay in the queue, and the others are deleted.
    Partial(BTreeSet<String>),
    /// All messages are deleted, although the response lists these: `ReportBatchItemFailures` is off, and the response is ignored.
    Ignored(BTreeSet<String>),
    /// All messages stay in the queue, for this reason.
    Failure(String),
}

impl Verdict {
    /// Returns true if the message with this id stays in the queue.
    pub fn keeps(&self, message_id: &str) -> bool {
        match self {
            Self::Success | Self::Ignored(_) => false,
            Self::Partial(failed) => failed.contains(message_id),
            Self::Failure(_) => true,
        }
    }

    /// Returns true if the response lists the message with this id as failed.
    pub fn lists(&self, message_id: &str) -> bool {
        matches!(self, Self::Partial(ids) | Self::Ignored(ids) if ids.contains(message_id))
    }
}

/// Returns the effect of a result on a batch with these message IDs. `reports` is true if `ReportBatchItemFailures` is on.
pub(crate) fn judge(result: &Result<Bytes, Failure>, ids: &[&str], reports: bool) -> Verdict {
    let listed = match result {
        Err(failure) => return Verdict::Failure(failure.to_string()),
        Ok(response) => listed(response, ids),
    };
    match (listed, reports) {
        (Ok(listed), _) if listed.is_empty() => Verdict::Success,
        (Ok(listed), true) => Verdict::Partial(listed),
        (Ok(listed), false) => Verdict::Ignored(listed),
        (Err(reason), true) => Verdict::Failure(format!("the response fails the whole batch: {reason}")),
        (Err(_), false) => Verdict::Success,
    }
}

/// Returns the IDs that a response lists as failed.
///
/// # Errors
/// The reason why the response fails the whole batch.
fn listed(response: &[u8], ids: &[&str]) -> Result<BTreeSet<String>, String> {
    let response: Value =
        serde_json::from_slice(response).map_err(|error| format!("it is no JSON: {error}"))?;
    let items = match response {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Object(mut fields) => fields.remove("batchItemFailures").unwrap_or_default(),
        // AWS does not document this case. Keeping the batch loses no message.
        _ => return Err("it is no object".to_owned()),
    };
    let items = match items {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Array(items) => items,
        _ => return Err("batchItemFailures is no list".to_owned()),
    };
    let id = |item: &Value| match &item["itemIdentifier"] {
        Value::String(id) if id.is_empty() => Err("an itemIdentifier is empty".to_owned()),
        Value::String(id) if !ids.contains(&&**id) => Err(format!("{id:?} is no message of the batch")),
        Value::String(id) => Ok(id.clone()),
        Value::Null => Err("an item has no itemIdentifier".to_owned()),
        other => Err(format!("the itemIdentifier {other} is no text")),
    };
    items.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoked::FailureKind;

    const IDS: &[&str] = &["a", "b", "c"];

    fn of(response: &str, reports: bool) -> Verdict {
        judge(&Ok(Bytes::copy_from_slice(response.as_bytes())), IDS, reports)
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn an_empty_or_missing_list_is_a_success() {
        let responses = [
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
            "{}",
            "null",
            r#"{"statusCode":200}"#,
            r#"{"batchItemFailure":[{"itemIdentifier":"a"}]}"#,
        ];
        for response in responses {
            assert_eq!(of(response, true), Verdict::Success, "{response}");
        }
    }

    #[test]
    fn listed_messages_stay_each_once() {
        let response =
            r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}"#;
        let verdict = of(response, true);
        assert_eq!(verdict, Verdict::Partial(ids(&["a", "c"])));
        assert_eq!(["a", "b", "c"].map(|id| verdict.keeps(id)), [true, false, true]);
    }

    #[test]
    fn a_response_that_cannot_be_followed_fails_the_whole_batch() {
        let table = [
            ("", "no JSON"),
            ("done", "no JSON"),
            (r#""done""#, "no object"),
            ("[]", "no object"),
            (r#"{"batchItemFailures":"a"}"#, "no list"),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, "is empty"),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, "no itemIdentifier"),
            (r#"{"batchItemFailures":[{"itemidentifier":"a"}]}"#, "no itemIdentifier"),
            (r#"{"batchItemFailures":["a"]}"#, "no itemIdentifier"),
            (r#"{"batchItemFailures":[{"itemIdentifier":7}]}"#, "no text"),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}"#,
                "no message of the batch",
            ),
        ];
        for (response, expected) in table {
            let Verdict::Failure(reason) = of(response, true) else { panic!("{response}") };
            assert!(reason.contains(expected), "{response}: {reason}");
            assert!(IDS.iter().all(|id| of(response, true).keeps(id)));
        }
    }

    #[test]
    fn without_the_feature_every_response_deletes_the_batch() {
        let response = r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#;
        let verdict = of(response, false);
        assert_eq!(verdict, Verdict::Ignored(ids(&["a"])));
        assert!(verdict.lists("a") && !verdict.keeps("a"));
        for response in ["done", "{}", r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#] {
            assert_eq!(of(response, false), Verdict::Success, "{response}");
        }
    }

    #[test]
    fn an_error_keeps_the_batch_with_or_without_the_feature() {
        for reports in [true, false] {
            let failure = Failure::new(FailureKind::Timeout, "Sandbox.Timedout", "too late".to_owned());
            let Verdict::Failure(reason) = judge(&Err(failure), IDS, reports) else { panic!() };
            assert!(reason.contains("timed out"), "{reason}");
        }
    }
}
