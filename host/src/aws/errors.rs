//! The SDK's errors, as kinds and helpful texts.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use drumline::core::{SqsErrorKind, is_out_of_resources};
use drumline_sqs::{ErrorKind, RequestError};
use hyper_util::client::legacy;

use super::credentials;
use crate::sqs::SqsError;
use drumline_aws::with_causes;

/// Classifies an SDK error of `action`.
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
    let is_in_doubt = kind == SqsErrorKind::Unreachable && !is_without_connection(error);
    let text = text(action, &what, kind);
    SqsError { retry_after: retry_after(error), is_in_doubt, ..SqsError::new(kind, text) }
}

/// Returns true if there was no connection on which a request could have been sent: the name, the connection, its time limit or
/// TLS failed.
///
/// The kind of the I/O error does not show this, because Linux also reports an unreachable host on an established connection.
fn is_without_connection(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The header with the time until the next request, in milliseconds.
const RETRY_AFTER: &str = "x-amz-retry-after";

/// Reads the header. The SDK uses it only for its own retries, which are disabled here.
fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    let value = error.raw_response()?.headers().get(RETRY_AFTER)?;
    value.trim().parse().ok().map(Duration::from_millis)
}

/// Classifies an error of the lean client.
pub(super) fn explain_lean(action: &str, error: &RequestError) -> SqsError {
    let (kind, retry_after) = match &error.kind {
        ErrorKind::Service { code, message, status, retry_after } => {
            (by_code(code, message.as_deref().unwrap_or_default(), *status), *retry_after)
        }
        ErrorKind::Credentials(cause) => {
            (credentials::kind(cause).unwrap_or(SqsErrorKind::CredentialsUnavailable), None)
        }
        _ if is_out_of_resources(error) => (SqsErrorKind::OutOfResources, None),
        ErrorKind::Undecodable => (SqsErrorKind::Other, None),
        _ => (SqsErrorKind::Unreachable, None),
    };
    let is_in_doubt = match &error.kind {
        ErrorKind::NoConnection(_) | ErrorKind::Credentials(_) => false,
        ErrorKind::Undecodable => true,
        _ => kind == SqsErrorKind::Unreachable,
    };
    SqsError { retry_after, is_in_doubt, ..SqsError::new(kind, text(action, &error.text, kind)) }
}

/// Returns the text of an error: the problem, and the advice.
fn text(action: &str, what: &str, kind: SqsErrorKind) -> String {
    let advice = if credentials::is_sign_in_missing(what) { SIGN_IN_MISSING } else { advice(kind) };
    if advice.is_empty() { format!("{action}: {what}") } else { format!("{action}: {what}; {advice}") }
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> SqsErrorKind
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let SdkError::ServiceError(service) = error {
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        return by_code(code, message, service.raw().status().as_u16());
    }
    if is_out_of_resources(error) {
        return SqsErrorKind::OutOfResources;
    }
    match (credentials::kind(error), error) {
        (Some(kind), _) => kind,
        (None, SdkError::ConstructionFailure(_)) => SqsErrorKind::Other,
        (None, _) => SqsErrorKind::Unreachable,
    }
}

/// Returns the kind for an error code, in the notation of either protocol. See [Common
/// errors](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
fn by_code(code: &str, message: &str, status: u16) -> SqsErrorKind {
    let code = code.rsplit(['#', '.']).next().unwrap_or(code);
    match code {
        "QueueDoesNotExist" | "NonExistentQueue" => SqsErrorKind::NoQueue,
        "InvalidAddress" => SqsErrorKind::WrongRegion,
        "AccessDenied"
        | "AccessDeniedException"
        | "InvalidSecurity"
        | "OptInRequired"
        | "KmsAccessDenied"
        | "KMS" => SqsErrorKind::Denied,
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => SqsErrorKind::InvalidCredentials,
        "SignatureDoesNotMatch" | "InvalidSignatureException" => by_signature(message),
        "RequestTimeTooSkewed" | "RequestExpired" => SqsErrorKind::ClockSkew,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => SqsErrorKind::ExpiredCredentials,
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

/// Returns the kind for a wrong signature: only the text shows whether its date, its region or its key is wrong.
fn by_signature(message: &str) -> SqsErrorKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["Signature expired", "Signature not yet current", "is now earlier than", "is now later than"]) {
        SqsErrorKind::ClockSkew
    } else if says(&["scoped to a valid region", "scoped to correct service"]) {
        SqsErrorKind::WrongRegion
    } else {
        SqsErrorKind::InvalidCredentials
    }
}

/// The text with which SQS reports that a message is visible again, deleted, or received by another consumer, if it sends no code.
const NOT_OURS: &str = "Message does not exist or is not available for visibility timeout change";

/// Returns true if an error of SQS says that a receipt handle is no longer valid.
pub fn is_gone(code: &str, message: Option<&str>) -> bool {
    let code = code.rsplit(['#', '.']).next().unwrap_or(code);
    let by_words = || code == "InvalidParameterValue" && message.is_some_and(|text| text.contains(NOT_OURS));
    matches!(code, "ReceiptHandleIsInvalid" | "MessageNotInflight") || by_words()
}

/// The advice for a profile that this build cannot read.
const SIGN_IN_MISSING: &str = "this program is built without what the profile needs: build it with the feature `sign-in` of \
     drumline-cli or drumline-consumer, or give it a profile with a role or keys";

fn advice(kind: SqsErrorKind) -> &'static str {
    match kind {
        SqsErrorKind::NoQueue => "check DRUMLINE_QUEUE_URL, and that account and region are the queue's",
        SqsErrorKind::WrongRegion => {
            "use the queue's URL as SQS shows it, and let AWS_REGION and AWS_ENDPOINT_URL be of the queue's region or unset"
        }
        SqsErrorKind::InvalidCredentials => {
            "check which credentials the process uses (`aws sts get-caller-identity` in its environment): the access key, \
             the role's trust policy, and that AWS_SESSION_TOKEN belongs to the key"
        }
        SqsErrorKind::ExpiredCredentials => {
            "credentials of a role are renewed by themselves; renew those of the environment or of a session \
             (`aws sso login`, `aws login`)"
        }
        SqsErrorKind::ClockSkew => "set this machine's clock, such as by NTP",
        SqsErrorKind::CredentialsUnavailable => {
            "check that the source of the credentials can be reached from here: instance metadata, \
             AWS_CONTAINER_CREDENTIALS_FULL_URI, STS, or the profile's process"
        }
        SqsErrorKind::Denied => {
            "the consumer needs sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and \
             sqs:GetQueueAttributes on the queue, and kms:Decrypt where it is encrypted with a key of yours"
        }
        SqsErrorKind::NoCredentials => {
            "give the process a role, a profile (AWS_PROFILE), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        SqsErrorKind::Unreachable => {
            "check the network, the queue's URL, AWS_REGION, AWS_ENDPOINT_URL, HTTPS_PROXY and AWS_CA_BUNDLE"
        }
        SqsErrorKind::OutOfResources => {
            "raise the process's limits, such as ulimit -n, or lower DRUMLINE_CONCURRENCY"
        }
        // Throttled, gone, and unknown errors: a test keeps the list of those.
        _ => "",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::task::{Context, Poll};

    use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;

    #[test]
    fn every_error_that_can_be_corrected_has_its_advice() {
        let without = SqsErrorKind::ALL.into_iter().filter(|kind| advice(*kind).is_empty());
        let expected = [SqsErrorKind::Throttled, SqsErrorKind::Gone, SqsErrorKind::Other];
        assert_eq!(without.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn codes_are_known_in_both_notations() {
        let table = [
            ("AWS.SimpleQueueService.NonExistentQueue", 400, SqsErrorKind::NoQueue),
            ("com.amazonaws.sqs#QueueDoesNotExist", 400, SqsErrorKind::NoQueue),
            ("QueueDoesNotExist", 400, SqsErrorKind::NoQueue),
            ("com.amazonaws.sqs#InvalidAddress", 404, SqsErrorKind::WrongRegion),
            ("AccessDenied", 403, SqsErrorKind::Denied),
            ("com.amazonaws.sqs#KmsAccessDenied", 400, SqsErrorKind::Denied),
            ("InvalidClientTokenId", 403, SqsErrorKind::InvalidCredentials),
            ("com.amazon.coral.service#UnrecognizedClientException", 403, SqsErrorKind::InvalidCredentials),
            ("com.amazon.coral.service#ExpiredTokenException", 403, SqsErrorKind::ExpiredCredentials),
            ("ExpiredToken", 403, SqsErrorKind::ExpiredCredentials),
            ("RequestTimeTooSkewed", 403, SqsErrorKind::ClockSkew),
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
            assert_eq!(by_code(code, "", status), kind, "{code}");
        }
        let words = "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
                     available for visibility timeout change.";
        assert!(is_gone("InvalidParameterValue", Some(words)));
        assert!(!is_gone(
            "InvalidParameterValue",
            Some("Total VisibilityTimeout for the message is beyond the limit")
        ));
    }

    /// A connector whose connections all fail.
    #[derive(Clone)]
    struct Failing(io::ErrorKind);

    impl tower_service::Service<http::Uri> for Failing {
        type Response = TokioIo<tokio::net::TcpStream>;
        type Error = io::Error;
        type Future = std::future::Ready<io::Result<Self::Response>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Uri) -> Self::Future {
            std::future::ready(Err(self.0.into()))
        }
    }

    #[tokio::test]
    async fn only_a_broken_connection_leaves_a_request_in_doubt() {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, NotFound, TimedOut,
        };
        let is_in_doubt = |source: Box<dyn Error + Send + Sync>| {
            let source = ConnectorError::io(source);
            let error: SdkError<SendMessageBatchError, HttpResponse> = SdkError::dispatch_failure(source);
            explain("SendMessageBatch", &error).is_in_doubt
        };
        for kind in
            [ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, NotFound, TimedOut]
        {
            let client = legacy::Client::builder(TokioExecutor::new());
            let client = client.build::<_, String>(Failing(kind));
            let not_made = client.get("http://sqs.test/".parse().unwrap()).await.unwrap_err();
            assert!(!is_in_doubt(not_made.into()), "{kind}");
            assert!(is_in_doubt(io::Error::from(kind).into()), "{kind} after the send");
        }
    }

    #[test]
    fn the_text_says_what_is_wrong_with_a_signature() {
        let table = [
            (
                "Signature expired: 20261128T200000Z is now earlier than 20261128T205500Z (20261128T211000Z - 15 min.)",
                SqsErrorKind::ClockSkew,
            ),
            (
                "Signature not yet current: 20261128T230000Z is still later than 20261128T211500Z",
                SqsErrorKind::ClockSkew,
            ),
            ("Credential should be scoped to a valid region.", SqsErrorKind::WrongRegion),
            (
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
                SqsErrorKind::InvalidCredentials,
            ),
        ];
        for (message, kind) in table {
            for code in ["SignatureDoesNotMatch", "com.amazon.coral.service#InvalidSignatureException"] {
                assert_eq!(by_code(code, message, 403), kind, "{message}");
            }
        }
    }
}
