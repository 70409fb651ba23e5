//! The names of attributes, as the semantic conventions have them: messaging, and its page about SQS, as of version 1.44. See
//! [messaging spans](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/) and
//! [SQS](https://opentelemetry.io/docs/specs/semconv/messaging/sqs/).

pub(crate) const SYSTEM: &str = "messaging.system";
/// The value of [`SYSTEM`].
pub(crate) const SQS: &str = "aws_sqs";
pub(crate) const DESTINATION: &str = "messaging.destination.name";
pub(crate) const OPERATION: &str = "messaging.operation.name";
pub(crate) const OPERATION_TYPE: &str = "messaging.operation.type";
pub(crate) const MESSAGE_ID: &str = "messaging.message.id";
pub(crate) const CONVERSATION_ID: &str = "messaging.message.conversation_id";
pub(crate) const BATCH_COUNT: &str = "messaging.batch.message_count";
pub(crate) const QUEUE_URL: &str = "aws.sqs.queue.url";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const ERROR_TYPE: &str = "error.type";

/// Attributes that the conventions do not have.
pub(crate) const JOB_TYPE: &str = "drumline.job.type";
pub(crate) const JOB_ID: &str = "drumline.job.id";
pub(crate) const ATTEMPT: &str = "drumline.job.attempt";
pub(crate) const RECEIVE_COUNT: &str = "drumline.message.receive_count";
