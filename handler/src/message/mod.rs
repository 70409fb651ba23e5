//! Messages and their contents: envelopes, payloads, and the identity of a job.

pub(crate) mod aws_events;
pub(crate) mod cloud_event;
pub(crate) mod decoding;
pub(crate) mod encoded_body;
pub(crate) mod envelope;
pub(crate) mod fields;
pub(crate) mod identity;
pub(crate) mod intake;
pub(crate) mod invalid_payload;
pub(crate) mod job_id_attribute;
pub mod limits;
pub(crate) mod objects;
pub(crate) mod payload_hash;
pub(crate) mod payload_pointer;
pub(crate) mod sqs_message;
pub(crate) mod trace;

pub use encoded_body::{
    CONTENT_ENCODING_ATTRIBUTE, ContentEncoding, EncodedBody, LEGACY_PAYLOAD_SIZE_ATTRIBUTE,
    PAYLOAD_SIZE_ATTRIBUTE, payload_size_attribute,
};
pub use envelope::{Envelope, S3_EVENT_TYPE, S3_TEST_EVENT_TYPE, TYPE_ATTRIBUTE};
pub use identity::{
    Identity, KeyScope, MAX_IDENTITY_KEY_BYTES, MAX_SCOPE_BYTES, MAX_SOURCE_BYTES, MAX_TYPE_BYTES,
    escape_controls,
};
pub use intake::{Intake, RequiredFields};
pub use invalid_payload::InvalidPayload;
pub use job_id_attribute::{CHANGED_DATA_TYPE, JOB_ID_ATTRIBUTE, JobIdAttribute, MAX_JOB_ID_BYTES};
pub use objects::from_json;
pub use payload_hash::payload_hash;
pub use payload_pointer::PayloadPointer;
pub use sqs_message::{Attribute, AttributeValue, Message};
pub use trace::Traceparent;
