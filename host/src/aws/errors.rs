//! The SDK's errors, in kinds and words that help.

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use drumline::{SqsErrorKind, is_out_of_resources};

use crate::sqs::SqsError;

/// What an error of `action` is.
pub fn explain<E>(action: &str, error: &SdkError<E, HttpResponse>) -> SqsError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let kind = kind(error);
    let what = match error {
        SdkError::ServiceError(service) => {
            let code = error.code().unwrap_or("an error without a code");
            match error.message() {
                Some(message) => format!("{code}: {message}"),
                None => format!("{code} (HTTP status {})", service.raw().status()),
            }
        }
        _ => with_causes(error),
    };
    let advice = advice(kind);
    let text =
        if advice.is_empty() { format!("{action}: {what}") } else { format!("{action}: {what}; {advice}") };
    SqsError { kind, text }
}

/// An error and what caused it. `DisplayErrorContext` would add their inner structure, which is of no use to an operator.
fn with_causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> SqsErrorKind
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            by_code(error.code().unwrap_or_default(), service.raw().status().as_u16())
        }
        _ if is_out_of_resources(error) => SqsErrorKind::OutOfResources,
        // The SDK says so in words only, at the end of a chain of sources.
        _ if DisplayErrorContext(error).to_string().to_lowercase().contains("credentials") => {
            SqsErrorKind::NoCredentials
        }
        SdkError::ConstructionFailure(_) => SqsErrorKind::Other,
        _ => SqsErrorKind::Unreachable,
    }
}

/// By error code, in the notation of either protocol. See
/// [Common errors](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
fn by_code(code: &str, status: u16) -> SqsErrorKind {
    let code = code.rsplit(['#', '.']).next().unwrap_or(code);
    match code {
        "QueueDoesNotExist" | "NonExistentQueue" => SqsErrorKind::NoQueue,
        "AccessDenied"
        | "AccessDeniedException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSecurity"
        | "MissingAuthenticationToken"
        | "OptInRequired"
        | "KmsAccessDenied"
        | "KMS" => SqsErrorKind::Denied,
        "RequestThrottled"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "OverLimit"
        | "KmsThrottled"
        | "SlowDown" => SqsErrorKind::Throttled,
        code if is_gone(code, None) => SqsErrorKind::Gone,
        _ if status == 429 => SqsErrorKind::Throttled,
        _ if status >= 500 => SqsErrorKind::Unreachable,
        _ => SqsErrorKind::Other,
    }
}

/// How SQS says that a message is visible again, deleted, or received by somebody else, where it has no code for it.
const NOT_OURS: &str = "Message does not exist or is not available for visibility timeout change";

/// Whether an error says that a receipt handle counts no longer.
pub(super) fn is_gone(code: &str, message: Option<&str>) -> bool {
    let code = code.rsplit(['#', '.']).next().unwrap_or(code);
    let by_words = || code == "InvalidParameterValue" && message.is_some_and(|text| text.contains(NOT_OURS));
    matches!(code, "ReceiptHandleIsInvalid" | "MessageNotInflight") || by_words()
}

fn advice(kind: SqsErrorKind) -> &'static str {
    match kind {
        SqsErrorKind::NoQueue => "check DRUMLINE_QUEUE_URL, and that account and region are the queue's",
        SqsErrorKind::Denied => {
            "the consumer needs sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and \
             sqs:GetQueueAttributes on the queue, and kms:Decrypt where it is encrypted with a key of yours"
        }
        SqsErrorKind::NoCredentials => {
            "give the process a role, a profile (AWS_PROFILE), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        SqsErrorKind::Unreachable => "check the network, the queue's URL, AWS_REGION and AWS_ENDPOINT_URL",
        SqsErrorKind::OutOfResources => {
            "raise the process's limits, such as ulimit -n, or lower DRUMLINE_CONCURRENCY"
        }
        SqsErrorKind::Throttled | SqsErrorKind::Gone | SqsErrorKind::Other => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_in_both_notations() {
        let table = [
            ("AWS.SimpleQueueService.NonExistentQueue", 400, SqsErrorKind::NoQueue),
            ("com.amazonaws.sqs#QueueDoesNotExist", 400, SqsErrorKind::NoQueue),
            ("QueueDoesNotExist", 400, SqsErrorKind::NoQueue),
            ("AccessDenied", 403, SqsErrorKind::Denied),
            ("InvalidClientTokenId", 403, SqsErrorKind::Denied),
            ("RequestThrottled", 400, SqsErrorKind::Throttled),
            ("OverLimit", 403, SqsErrorKind::Throttled),
            ("ReceiptHandleIsInvalid", 404, SqsErrorKind::Gone),
            ("com.amazonaws.sqs#MessageNotInflight", 400, SqsErrorKind::Gone),
            ("InternalFailure", 500, SqsErrorKind::Unreachable),
            ("", 503, SqsErrorKind::Unreachable),
            ("Whatever", 429, SqsErrorKind::Throttled),
            ("InvalidParameterValue", 400, SqsErrorKind::Other),
        ];
        for (code, status, kind) in table {
            assert_eq!(by_code(code, status), kind, "{code}");
        }
        let words = "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
                     available for visibility timeout change.";
        assert!(is_gone("InvalidParameterValue", Some(words)));
        assert!(!is_gone(
            "InvalidParameterValue",
            Some("Total VisibilityTimeout for the message is beyond the limit")
        ));
    }
}
