//! The payload of a message as its job type: decoded once, before the claim, and handed to the handler.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde_json::value::RawValue;

use crate::api::failure::Failure;
use crate::api::job::{self, Job};
use crate::message::identity::KeyScope;

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Decodes a payload of this version as one job type. The error is the panic of the code that computes a key.
pub(crate) type Decode = fn(u32, &RawValue) -> Result<Decoded, Panic>;

/// A decoded payload.
pub(crate) struct Decoded {
    pub(crate) job: TypedJob,
    /// The keys that the job's code computes; `None` if the payload could not be decoded.
    pub(crate) keys: Option<Keys>,
}

/// The keys that a job makes of its payload.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) scope: KeyScope,
    pub(crate) lock: Option<String>,
}

/// A job whose type is erased, on its way to its handler. A payload that does not fit fails the attempt of the handler and not the
/// request for the claim: a job that is done needs no run, whatever its payload.
#[derive(Default)]
pub(crate) enum TypedJob {
    /// The payload has not been decoded.
    #[default]
    Undecoded,
    Valid(Box<dyn Any + Send>),
    Invalid(Failure),
    /// An upcaster or the payload's `Deserialize` panicked.
    Panicked(Panic),
}

impl TypedJob {
    /// Returns the job, decoded now if it has not been.
    ///
    /// # Panics
    /// If decoding panicked.
    pub(crate) fn into_job<J: Job>(self, version: u32, payload: &RawValue) -> Result<Box<J>, Failure> {
        match self {
            Self::Valid(job) => job.downcast().or_else(|_| job::decode(version, payload).map(Box::new)),
            Self::Undecoded => job::decode(version, payload).map(Box::new),
            Self::Invalid(failure) => Err(failure),
            Self::Panicked(panic) => resume_unwind(panic),
        }
    }
}

/// The [`Decode`] of a job type.
pub(crate) fn decode<J: Job>(version: u32, payload: &RawValue) -> Result<Decoded, Panic> {
    // The code of a job and of its upcasters runs here, and may panic as its handler may.
    let job = match catch_unwind(AssertUnwindSafe(|| job::decode::<J>(version, payload).map(Box::new))) {
        Ok(Ok(job)) => job,
        Ok(Err(failure)) => return Ok(Decoded { job: TypedJob::Invalid(failure), keys: None }),
        Err(panic) => return Ok(Decoded { job: TypedJob::Panicked(panic), keys: None }),
    };
    let keys = catch_unwind(AssertUnwindSafe(|| {
        let given = |key: Option<String>| key.filter(|key| !key.is_empty());
        Keys { idempotency_key: given(job.idempotency_key()), scope: J::KEY_SCOPE, lock: given(job.lock()) }
    }))?;
    Ok(Decoded { job: TypedJob::Valid(job), keys: Some(keys) })
}

/// The [`Decode`] of messages that are handed on as they are.
#[allow(clippy::unnecessary_wraps, reason = "one signature for all")]
pub(crate) fn undecoded(_: u32, _: &RawValue) -> Result<Decoded, Panic> {
    Ok(Decoded { job: TypedJob::Undecoded, keys: Some(Keys::default()) })
}
