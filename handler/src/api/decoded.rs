//! The payload of a message as its job type: decoded once, before the claim, and passed to the handler.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use serde_json::value::RawValue;

use crate::api::context::Context;
use crate::api::failure::Failure;
use crate::api::handler::{Handler, HandlerFuture};
use crate::api::job::{self, Job};
use crate::message::identity::KeyScope;

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Decodes a payload of this version as one job type. The error is the panic of code that computes a key.
pub(crate) type Decode = Arc<dyn Fn(u32, &RawValue) -> Result<Decoded, Panic> + Send + Sync>;

/// A decoded payload.
pub(crate) struct Decoded {
    pub(crate) job: TypedJob,
    /// The keys that the job's code computes; `None` if the payload could not be decoded.
    pub(crate) keys: Option<Keys>,
}

/// The keys that a job derives from its payload.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) scope: KeyScope,
    pub(crate) lock: Option<String>,
}

/// A job whose type is erased, on its way to its handler. A payload that does not fit fails the attempt of the handler and not
/// the request for the claim: a job that is done needs no run, with any payload.
#[derive(Default)]
pub(crate) enum TypedJob {
    /// The payload has not been decoded.
    #[default]
    Undecoded,
    Valid(Pin<Box<dyn Startable + Send>>),
    Invalid(Failure),
    /// An upcaster or the payload's `Deserialize` panicked.
    Panicked(Panic),
}

impl TypedJob {
    /// Returns the run of the job's handler.
    ///
    /// # Panics
    /// If decoding panicked.
    pub(crate) fn start(self, context: Context, payload: &RawValue, decode: &Decode) -> HandlerFuture {
        let job = match self {
            Self::Undecoded => match decode(context.version, payload) {
                Ok(Decoded { job, .. }) => job,
                Err(panic) => resume_unwind(panic),
            },
            decoded => decoded,
        };
        match job {
            Self::Valid(mut job) => {
                job.as_mut().start(context);
                job
            }
            Self::Invalid(failure) => Box::pin(std::future::ready(Err(failure))),
            Self::Panicked(panic) => resume_unwind(panic),
            Self::Undecoded => unreachable!("it has just been decoded"),
        }
    }
}

/// A job that becomes the future of its handler, in the allocation that fits either.
pub(crate) trait Startable: Future<Output = Result<(), Failure>> {
    /// Passes the job to its handler. Before that the future must not be polled.
    fn start(self: Pin<&mut Self>, context: Context);
}

pin_project! {
    #[project = StageOf]
    enum Stage<J, H, R> {
        /// `None` while it starts.
        Ready { job: Option<(J, H)> },
        Running { #[pin] run: R },
    }
}

impl<J, H, R> Startable for Stage<J, H, R>
where
    H: FnOnce(Context, J) -> R,
    R: Future<Output = Result<(), Failure>>,
{
    fn start(mut self: Pin<&mut Self>, context: Context) {
        if let StageOf::Ready { job } = self.as_mut().project()
            && let Some((job, handler)) = job.take()
        {
            self.set(Self::Running { run: handler(context, job) });
        }
    }
}

impl<J, H, R: Future> Future for Stage<J, H, R> {
    type Output = R::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<R::Output> {
        match self.project() {
            StageOf::Running { run } => run.poll(task),
            StageOf::Ready { .. } => unreachable!("it is started before it is polled"),
        }
    }
}

/// A stage whose types follow from the handler.
fn ready<J, H: FnOnce(Context, J) -> R, R>(job: J, handler: H) -> Stage<J, H, R> {
    Stage::Ready { job: Some((job, handler)) }
}

/// Decodes a payload for a handler, see [`Decode`].
pub(crate) fn decode<J: Job, H: Handler<J>>(
    version: u32,
    payload: &RawValue,
    handler: &Arc<H>,
) -> Result<Decoded, Panic> {
    // The code of a job and of its upcasters runs here, and may panic like its handler.
    let job = match catch_unwind(AssertUnwindSafe(|| job::decode::<J>(version, payload))) {
        Ok(Ok(job)) => job,
        Ok(Err(failure)) => return Ok(Decoded { job: TypedJob::Invalid(failure), keys: None }),
        Err(panic) => return Ok(Decoded { job: TypedJob::Panicked(panic), keys: None }),
    };
    let keys = catch_unwind(AssertUnwindSafe(|| {
        let given = |key: Option<String>| key.filter(|key| !key.is_empty());
        Keys { idempotency_key: given(job.idempotency_key()), scope: J::KEY_SCOPE, lock: given(job.lock()) }
    }))?;
    let handler = Arc::clone(handler);
    let run = move |context: Context, job: J| async move { handler.handle(context, job).await };
    Ok(Decoded { job: TypedJob::Valid(Box::pin(ready(job, run))), keys: Some(keys) })
}

/// The [`Decode`] of messages that are handed on unchanged.
pub(crate) fn passthrough() -> Decode {
    Arc::new(|_, _| Ok(Decoded { job: TypedJob::Undecoded, keys: Some(Keys::default()) }))
}
