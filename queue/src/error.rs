//! The errors of the queue: SQS's error codes, with the names that each protocol uses.

/// A refused request, with a text like SQS's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SqsError {
    /// The kind of error.
    pub code: ErrorCode,
    /// The explanation for people.
    pub message: String,
}

impl SqsError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Returns `InvalidParameterValue` with SQS's usual text.
    pub(crate) fn invalid_value(parameter: &str, value: impl std::fmt::Display, reason: &str) -> Self {
        let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(ErrorCode::InvalidParameterValue, message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(ErrorCode::MissingParameter, message)
    }

    /// Returns true if the caller caused the error, so that the same request cannot succeed later.
    pub fn sender_fault(&self) -> bool {
        self.code != ErrorCode::InternalFailure
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $shape:literal, $code:literal;)*) => {
        /// The errors of the [SQS API](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// All codes, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the error's full shape name in the JSON protocol (`__type`).
            pub const fn shape(self) -> &'static str {
                match self { $(Self::$name => $shape,)* }
            }

            /// Returns the code of the older query protocol. SDKs read it from `x-amzn-query-error` and report it as the code.
            pub const fn query_code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

error_codes! {
    /// The queue does not exist, or no longer exists.
    QueueDoesNotExist = "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue";
    /// A queue of this name exists with other attributes.
    QueueNameExists = "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists";
    /// A queue of this name was deleted less than 60 seconds ago.
    QueueDeletedRecently = "com.amazonaws.sqs#QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently";
    /// The queue was purged less than 60 seconds ago.
    PurgeQueueInProgress = "com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress";
    /// The message is visible, so there is no visibility to change.
    MessageNotInflight = "com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight";
    /// The text is not a receipt handle of this queue.
    ReceiptHandleIsInvalid = "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid";
    /// The body contains characters that SQS does not accept.
    InvalidMessageContents = "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents";
    /// A quota is used up.
    OverLimit = "com.amazonaws.sqs#OverLimit", "OverLimit";
    /// The queue has no such attribute.
    InvalidAttributeName = "com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName";
    /// The queue attribute cannot have this value.
    InvalidAttributeValue = "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue";
    /// The batch has no entries.
    EmptyBatchRequest = "com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest";
    /// The batch has more than ten entries.
    TooManyEntriesInBatchRequest =
        "com.amazonaws.sqs#TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
    /// Two entries of the batch have the same id.
    BatchEntryIdsNotDistinct =
        "com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
    /// The batch's bodies and attributes are too long together.
    BatchRequestTooLong = "com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong";
    /// An entry's id has invalid characters or an invalid length.
    InvalidBatchEntryId = "com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId";
    /// The queue, or this implementation, does not support the operation.
    UnsupportedOperation = "com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation";
    /// The queue or task named by an ARN or a task handle does not exist.
    ResourceNotFound = "com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException";
    /// A parameter's value is out of range or contradicts another.
    InvalidParameterValue = "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue";
    /// A required parameter is missing.
    MissingParameter = "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter";
    /// The request names no action of SQS.
    InvalidAction = "com.amazon.coral.service#UnknownOperationException", "InvalidAction";
    /// The request's JSON does not have the action's form.
    MalformedRequest = "com.amazon.coral.service#SerializationException", "MalformedInput";
    /// A fault of this process.
    InternalFailure = "com.amazon.coral.service#InternalFailure", "InternalFailure";
}

impl ErrorCode {
    /// Returns the short name that batch replies use per entry: `ReceiptHandleIsInvalid`, `InvalidParameterValue`.
    pub fn name(self) -> &'static str {
        let code = self.query_code();
        code.rsplit_once('.').map_or(code, |(_, name)| name)
    }

    /// Returns the HTTP status of the response. The JSON protocol uses 400 for nearly all errors.
    pub const fn status(self) -> u16 {
        match self {
            Self::ResourceNotFound => 404,
            Self::InternalFailure => 500,
            _ => 400,
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
