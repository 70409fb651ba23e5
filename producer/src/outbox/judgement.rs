//! Interprets a response of SQS for each job of a request.

use std::time::Duration;

use drumline_runtime::{SqsError, SqsErrorKind};

use super::observer::FailureClass;
use crate::send::{NotTaken, Reply, Taken, Why};

/// The codes with which SQS refuses a message because of its content. See
/// [SendMessageBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html) and
/// [Common errors](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
const OF_A_MESSAGE: [&str; 8] = [
    "BatchRequestTooLong",
    "InvalidAttributeValue",
    "InvalidMessageContents",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "SerializationException",
    "ValidationException",
];

/// Prefixes of codes that do not concern the message, even if SQS blames the sender: keys, permissions, quotas.
const OF_THE_QUEUE: [&str; 9] = [
    "AccessDenied",
    "KMS.",
    "Kms",
    "OverLimit",
    "RequestThrottled",
    "Throttl",
    "UnsupportedOperation",
    "InvalidSecurity",
    "OptInRequired",
];

/// The interpretation of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Each job has its own result.
    Entries(Vec<Entry>),
    /// The queue accepts no jobs now.
    Queue(QueueFailure),
    /// SQS refuses the request, perhaps because of one of its jobs: each job must be sent in a separate request.
    Split,
}

/// The result for one job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// SQS has accepted it, with this message id.
    Sent(String),
    /// SQS refuses it permanently.
    Refused(String),
    /// SQS has not accepted it this time, or the response is lost.
    Failed(FailureClass, String),
}

/// The failure of a request that none of its jobs caused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFailure {
    pub(super) class: FailureClass,
    pub(super) reason: String,
    pub(super) retry_after: Option<Duration>,
}

/// Interprets the response to a request with `jobs` jobs.
pub(super) fn judge(reply: Reply, jobs: usize) -> Judgement {
    let error = match reply {
        Ok(results) => return Judgement::Entries(results.into_iter().map(entry).collect()),
        Err(error) => error,
    };
    let code = code(&error.text);
    let is_of_the_queue = error.is_in_doubt || error.kind.is_unavailability() || is_of_the_queue(code);
    if is_of_the_queue {
        let (class, retry_after) = (class(&error), error.retry_after);
        Judgement::Queue(QueueFailure { class, reason: error.text, retry_after })
    } else if jobs > 1 {
        Judgement::Split
    } else if OF_A_MESSAGE.contains(&code) {
        Judgement::Entries(vec![Entry::Refused(error.text)])
    } else {
        // An operator may be able to resolve an unknown refusal. It blocks only the job's group.
        Judgement::Entries(vec![Entry::Failed(FailureClass::Other, error.text)])
    }
}

fn entry(result: Result<Taken, NotTaken>) -> Entry {
    match result {
        Ok(taken) => Entry::Sent(taken.message_id),
        Err(NotTaken { why: Why::InDoubt, text }) => Entry::Failed(FailureClass::InDoubt, text),
        Err(NotTaken { why: Why::Refused, text }) if is_of_the_message(&text) => Entry::Refused(text),
        Err(NotTaken { text, .. }) => Entry::Failed(FailureClass::Entry, text),
    }
}

/// Returns the class of a failure that no message caused.
pub(super) fn class(error: &SqsError) -> FailureClass {
    if error.is_in_doubt {
        return FailureClass::InDoubt;
    }
    match error.kind {
        SqsErrorKind::NoQueue | SqsErrorKind::WrongRegion => FailureClass::NoQueue,
        SqsErrorKind::Denied
        | SqsErrorKind::InvalidCredentials
        | SqsErrorKind::ExpiredCredentials
        | SqsErrorKind::ClockSkew
        | SqsErrorKind::NoCredentials
        | SqsErrorKind::CredentialsUnavailable => FailureClass::Denied,
        SqsErrorKind::Throttled => FailureClass::Throttled,
        SqsErrorKind::Unreachable => FailureClass::Unreachable,
        _ => FailureClass::Other,
    }
}

/// Returns true if an entry is refused because of its content: by SQS with such a code, or by the payload store, whose texts
/// have no code.
fn is_of_the_message(text: &str) -> bool {
    OF_A_MESSAGE.contains(&code(text)) || !text.starts_with(|c: char| c.is_ascii_uppercase())
}

fn is_of_the_queue(code: &str) -> bool {
    OF_THE_QUEUE.iter().any(|start| code.starts_with(start))
}

/// Returns the code in an error's text. The text of a failed request begins with the name of the action.
fn code(text: &str) -> &str {
    let text = text.strip_prefix("SendMessageBatch: ").unwrap_or(text);
    let code = text.split([':', ' ']).next().unwrap_or_default();
    if code.starts_with("KMS.") {
        return code;
    }
    code.rsplit(['#', '.']).next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Reply {
        Err(SqsError::new(SqsErrorKind::Other, text))
    }

    fn queue(class: FailureClass, reason: &str) -> Judgement {
        Judgement::Queue(QueueFailure { class, reason: reason.to_owned(), retry_after: None })
    }

    #[test]
    fn a_failed_request_affects_the_queue_unless_content_is_refused() {
        let text = "SendMessageBatch: text";
        for (kind, class) in [
            (SqsErrorKind::NoQueue, FailureClass::NoQueue),
            (SqsErrorKind::WrongRegion, FailureClass::NoQueue),
            (SqsErrorKind::Denied, FailureClass::Denied),
            (SqsErrorKind::InvalidCredentials, FailureClass::Denied),
            (SqsErrorKind::ExpiredCredentials, FailureClass::Denied),
            (SqsErrorKind::NoCredentials, FailureClass::Denied),
            (SqsErrorKind::ClockSkew, FailureClass::Denied),
            (SqsErrorKind::CredentialsUnavailable, FailureClass::Denied),
            (SqsErrorKind::Throttled, FailureClass::Throttled),
            (SqsErrorKind::Unreachable, FailureClass::Unreachable),
            (SqsErrorKind::OutOfResources, FailureClass::Other),
        ] {
            for jobs in [1, 10] {
                assert_eq!(judge(Err(SqsError::new(kind, text)), jobs), queue(class, text), "{kind:?}");
            }
        }
        let lost = SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, text) };
        assert_eq!(judge(Err(lost), 1), queue(FailureClass::InDoubt, text));
    }

    #[test]
    fn a_refused_request_is_split_and_a_job_refused_alone_is_parked() {
        let table = [
            ("SendMessageBatch: InvalidMessageContents: U+0001", "refused"),
            ("SendMessageBatch: com.amazonaws.sqs#InvalidMessageContents: U+0001", "refused"),
            ("SendMessageBatch: AWS.SimpleQueueService.BatchRequestTooLong (HTTP status 400)", "refused"),
            ("SendMessageBatch: InvalidParameterValue: the group", "refused"),
            ("SendMessageBatch: KmsDisabled: the key", "queue"),
            ("SendMessageBatch: AWS.SimpleQueueService.UnsupportedOperation: no", "queue"),
            ("SendMessageBatch: SomethingNew: what it is", "failed"),
            ("SendMessageBatch: failed to construct request", "failed"),
        ];
        for (text, expected) in table {
            let alone = match judge(refused(text), 1) {
                Judgement::Entries(entries) => match &entries[..] {
                    [Entry::Refused(_)] => "refused",
                    [Entry::Failed(FailureClass::Other, _)] => "failed",
                    _ => "another",
                },
                Judgement::Queue(_) => "queue",
                Judgement::Split => "split",
            };
            assert_eq!(alone, expected, "{text}");
            assert_eq!(judge(refused(text), 2) == Judgement::Split, expected != "queue", "{text}");
        }
    }

    #[test]
    fn each_entry_has_its_own_meaning() {
        let not_taken = |why, text: &str| Err(NotTaken { why, text: text.to_owned() });
        let table = [
            (Ok(Taken { message_id: "m".to_owned(), sequence_number: None }), Entry::Sent("m".to_owned())),
            (
                not_taken(Why::Refused, "InvalidMessageContents: x"),
                Entry::Refused("InvalidMessageContents: x".to_owned()),
            ),
            // The error of the payload store, which has no code.
            (
                not_taken(Why::Refused, "a large message has an attribute more"),
                Entry::Refused("a large message has an attribute more".to_owned()),
            ),
            (
                not_taken(Why::Refused, "KmsAccessDenied: x"),
                Entry::Failed(FailureClass::Entry, "KmsAccessDenied: x".to_owned()),
            ),
            (
                not_taken(Why::Refused, "KMS.DisabledException: x"),
                Entry::Failed(FailureClass::Entry, "KMS.DisabledException: x".to_owned()),
            ),
            (
                not_taken(Why::Refused, "SomethingNew: x"),
                Entry::Failed(FailureClass::Entry, "SomethingNew: x".to_owned()),
            ),
            (
                not_taken(Why::Refused, "AccessDenied: x"),
                Entry::Failed(FailureClass::Entry, "AccessDenied: x".to_owned()),
            ),
            (
                not_taken(Why::Unavailable, "InternalError: x"),
                Entry::Failed(FailureClass::Entry, "InternalError: x".to_owned()),
            ),
            (
                not_taken(Why::InDoubt, "not mentioned"),
                Entry::Failed(FailureClass::InDoubt, "not mentioned".to_owned()),
            ),
        ];
        for (result, expected) in table {
            assert_eq!(entry(result), expected);
        }
    }
}
