//! Messages and what is in them: envelopes, payloads, and the identity of a job.

pub(crate) mod cloud_event;
pub(crate) mod decoding;
pub(crate) mod envelope;
pub(crate) mod identity;
pub(crate) mod intake;
pub(crate) mod objects;
pub(crate) mod payload_hash;
pub(crate) mod sqs_message;
pub(crate) mod trace;
pub(crate) mod unwrapping;
