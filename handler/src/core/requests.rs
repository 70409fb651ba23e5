//! The labels of requests to SQS and to the store.

use crate::core::receive_backoff::ReceiveFailure;

/// An API action of SQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqsAction {
    /// Messages are received.
    ReceiveMessage,
    /// Messages are deleted, up to ten at once.
    DeleteMessageBatch,
    /// Visibilities are changed, up to ten at once.
    ChangeMessageVisibilityBatch,
    /// A copy is sent to the DLQ.
    SendMessage,
    /// A queue's settings or depth are requested.
    GetQueueAttributes,
}

/// A variant that is missing in a list of all does not compile, unless it is the last one.
const _: () = {
    assert!(SqsAction::ALL.len() == SqsAction::GetQueueAttributes as usize + 1);
    assert!(SqsErrorKind::ALL.len() == SqsErrorKind::Other as usize + 1);
    assert!(StoreOperation::ALL.len() == StoreOperation::LeaseTokens as usize + 1);
};

impl SqsAction {
    /// All actions, in order.
    pub const ALL: [Self; 5] = [
        Self::ReceiveMessage,
        Self::DeleteMessageBatch,
        Self::ChangeMessageVisibilityBatch,
        Self::SendMessage,
        Self::GetQueueAttributes,
    ];

    /// Returns the `action` label of `drumline_sqs_requests_total`: AWS's own name.
    pub fn label(self) -> &'static str {
        match self {
            Self::ReceiveMessage => "ReceiveMessage",
            Self::DeleteMessageBatch => "DeleteMessageBatch",
            Self::ChangeMessageVisibilityBatch => "ChangeMessageVisibilityBatch",
            Self::SendMessage => "SendMessage",
            Self::GetQueueAttributes => "GetQueueAttributes",
        }
    }
}

/// The result of a request to SQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqsResult {
    /// SQS has answered it.
    Ok,
    /// It has failed.
    Failed(SqsErrorKind),
}

impl SqsResult {
    /// Returns the `result` label of `drumline_sqs_requests_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(kind) => kind.label(),
        }
    }
}

/// Failures of requests to SQS that require different measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqsErrorKind {
    /// The queue does not exist, or not in this account and region.
    NoQueue,
    /// The request went to another region than the queue's.
    WrongRegion,
    /// The credentials lack a permission.
    Denied,
    /// AWS does not accept the credentials, or their provider refuses to issue any.
    InvalidCredentials,
    /// The credentials have expired.
    ExpiredCredentials,
    /// This machine's clock differs too much from AWS's.
    ClockSkew,
    /// No credentials were found.
    NoCredentials,
    /// The provider of the credentials cannot be reached, or has failed.
    CredentialsUnavailable,
    /// Too many requests, or too many messages in flight.
    Throttled,
    /// SQS cannot be reached, or does not answer in time.
    Unreachable,
    /// This process lacks file descriptors or memory for a request.
    OutOfResources,
    /// A receipt handle that is no longer valid.
    Gone,
    /// Any other answer of SQS.
    Other,
}

impl SqsErrorKind {
    /// All kinds, in order.
    pub const ALL: [Self; 13] = [
        Self::NoQueue,
        Self::WrongRegion,
        Self::Denied,
        Self::InvalidCredentials,
        Self::ExpiredCredentials,
        Self::ClockSkew,
        Self::NoCredentials,
        Self::CredentialsUnavailable,
        Self::Throttled,
        Self::Unreachable,
        Self::OutOfResources,
        Self::Gone,
        Self::Other,
    ];

    /// Returns the `result` label of `drumline_sqs_requests_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoQueue => "no_queue",
            Self::WrongRegion => "wrong_region",
            Self::Denied => "denied",
            Self::InvalidCredentials => "invalid_credentials",
            Self::ExpiredCredentials => "expired_credentials",
            Self::ClockSkew => "clock_skew",
            Self::NoCredentials => "no_credentials",
            Self::CredentialsUnavailable => "credentials_unavailable",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::OutOfResources => "out_of_resources",
            Self::Gone => "gone",
            Self::Other => "error",
        }
    }

    /// Returns the kind of failure of a receive with this error, for the ledger.
    pub fn receive_failure(self) -> ReceiveFailure {
        match self {
            // The queue is paused besides.
            Self::Unreachable | Self::OutOfResources | Self::CredentialsUnavailable => {
                ReceiveFailure::Unreachable
            }
            Self::Throttled => ReceiveFailure::Throttled,
            Self::NoQueue
            | Self::WrongRegion
            | Self::Denied
            | Self::InvalidCredentials
            | Self::ExpiredCredentials
            | Self::ClockSkew
            | Self::NoCredentials
            | Self::Gone
            | Self::Other => ReceiveFailure::Refused,
        }
    }

    /// Returns true if the queue is unavailable: it is missing or unreachable. False for an error about a message, or of an
    /// unknown kind.
    pub fn is_unavailability(self) -> bool {
        match self {
            Self::NoQueue
            | Self::WrongRegion
            | Self::Denied
            | Self::InvalidCredentials
            | Self::ExpiredCredentials
            | Self::ClockSkew
            | Self::NoCredentials
            | Self::CredentialsUnavailable
            | Self::Throttled
            | Self::Unreachable
            | Self::OutOfResources => true,
            Self::Gone | Self::Other => false,
        }
    }

    /// Returns true if the error is transient and the request can be retried.
    pub fn passes(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unreachable
            | Self::OutOfResources
            | Self::CredentialsUnavailable
            // Credentials are rotated, and the SDK learns the difference between the clocks.
            | Self::ExpiredCredentials
            | Self::ClockSkew => true,
            Self::NoQueue
            | Self::WrongRegion
            | Self::Denied
            | Self::InvalidCredentials
            | Self::NoCredentials
            | Self::Gone
            | Self::Other => false,
        }
    }
}

/// An operation of the store of claims and histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// A claim is requested.
    Claim,
    /// A claim is renewed.
    Renew,
    /// A job is marked as done.
    Finish,
    /// A claim is released.
    ReleaseClaim,
    /// A value is kept for the next attempt.
    Checkpoint,
    /// A job's progress is kept.
    Progress,
    /// A failed attempt is added to a history.
    Attempted,
    /// Tokens of a rate that workers share are leased.
    LeaseTokens,
}

impl StoreOperation {
    /// All operations, in order.
    pub const ALL: [Self; 8] = [
        Self::Claim,
        Self::Renew,
        Self::Finish,
        Self::ReleaseClaim,
        Self::Checkpoint,
        Self::Progress,
        Self::Attempted,
        Self::LeaseTokens,
    ];

    /// Returns the `operation` label of `drumline_store_requests_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Finish => "finish",
            Self::ReleaseClaim => "surrender",
            Self::Checkpoint => "checkpoint",
            Self::Progress => "progress",
            Self::Attempted => "attempted",
            Self::LeaseTokens => "lease_tokens",
        }
    }
}

/// The result of a request to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreResult {
    /// The store has answered it.
    Ok,
    /// The store has not answered.
    Failed,
}

impl StoreResult {
    /// All results, in order.
    pub const ALL: [Self; 2] = [Self::Ok, Self::Failed];

    /// Returns the `result` label of `drumline_store_requests_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

impl<T, E> From<&Result<T, E>> for StoreResult {
    fn from(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Ok } else { Self::Failed }
    }
}
