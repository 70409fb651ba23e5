//! Failures of handlers.

use std::error::Error;
use std::fmt::{self, Display, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::core::reason::bounded;
use crate::core::resources::is_out_of_resources;

/// The failure of a handler: a reason, and a request to *retry*, to *retry after a delay*, or to *reject*.
///
/// `?` on any error means *retry*, because most failures are transient. A handler returns *reject* only if it knows that no later
/// attempt can succeed. The worker chooses the SQS calls that follow.
///
/// ```
/// use drumline::{Failure, OrReject};
/// fn parse(age: &str) -> Result<u8, Failure> {
///     if age.is_empty() {
///         return Err(Failure::reject("an age is required"));
///     }
///     Ok(age.parse().or_reject()?)
/// }
/// assert!(parse("9").is_ok());
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// `?` works on every error type, on `anyhow::Error`, on `Box<dyn Error + Send + Sync>` and on texts. The failure keeps the
/// error: layers and observers reach it through [`source`](Self::source) and [`chain`](Self::chain).
///
/// ```
/// use anyhow::Context as _;
/// use drumline::Failure;
/// fn read(path: &str) -> anyhow::Result<String> {
///     std::fs::read_to_string(path).with_context(|| format!("no template {path}"))
/// }
/// fn render() -> Result<String, Failure> {
///     Ok(read("missing.txt")?)
/// }
/// let failure = render().unwrap_err();
/// assert!(failure.reason().starts_with("no template missing.txt: "));
/// assert!(failure.chain().any(|cause| cause.is::<std::io::Error>()));
/// ```
#[derive(Clone)]
pub struct Failure {
    kind: FailureKind,
    reason: String,
    /// Shared by the failures of a batch's items.
    source: Option<Arc<dyn Error + Send + Sync + 'static>>,
}

/// An error of any type, from which a failure is made.
type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The request of a failed handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// Retry after the backoff of the queue or the job type.
    Retry,
    /// Retry after this time instead of the backoff.
    RetryAfter(Duration),
    /// Never retry: the message moves to the DLQ.
    Reject,
    /// The payload does not fit the job type: permanent like a rejection, counted separately.
    InvalidPayload,
    /// Retry once the process has the file descriptors or the memory that this run lacked; no attempt is counted.
    OutOfResources,
    /// Retry once the target that the handler calls is healthy; no attempt is counted.
    TargetUnhealthy,
    /// Start no other job of this type for this time, or for pauses that grow, and retry then; no attempt is counted.
    Throttled(Option<Duration>),
}

impl Failure {
    /// Requests another attempt after the usual backoff.
    pub fn retry(reason: impl Display) -> Self {
        Self::new(FailureKind::Retry, &reason)
    }

    /// Requests another attempt after `delay`, for example a server's `Retry-After`.
    ///
    /// SQS takes whole seconds, up to twelve hours from the receive: the delay is rounded up and clamped.
    pub fn retry_after(delay: Duration, reason: impl Display) -> Self {
        Self::new(FailureKind::RetryAfter(delay), &reason)
    }

    /// Reports that no attempt can succeed: the message moves to the DLQ without another run.
    pub fn reject(reason: impl Display) -> Self {
        Self::new(FailureKind::Reject, &reason)
    }

    /// Reports that the process or its machine lacks file descriptors or memory: the queue is paused until it has them, and
    /// the run does not count as an attempt. Every conversion from an error does so if one of its causes is such a lack
    /// ([`is_out_of_resources`](crate::core::is_out_of_resources)); this is for errors that hide their causes.
    pub fn out_of_resources(reason: impl Display) -> Self {
        Self::new(FailureKind::OutOfResources, &reason)
    }

    /// Reports that the service which the handlers of the queue depend on is unhealthy as a whole, for example because it
    /// refuses connections: the queue is paused until a run succeeds or fails otherwise, and the run does not count as an
    /// attempt. Not for the failure of one request, which this one message may have caused.
    pub fn target_unhealthy(reason: impl Display) -> Self {
        Self::new(FailureKind::TargetUnhealthy, &reason)
    }

    /// Reports that the service which this job type calls asks for a pause, such as by 429: with the time that it asks for (its
    /// `Retry-After`), or with `None` if it names no time.
    ///
    /// No further job of the type starts in this process before that time is over; without one, pauses grow from 1 s to a minute.
    /// Afterwards one job runs as a probe: if it is not throttled, the others start. The run does not count as an attempt, and its
    /// message is retried once the type is open. Not for a limit that concerns this job alone, such as the quota of one customer: that is
    /// [`retry_after`](Self::retry_after).
    ///
    /// ```
    /// use drumline::{Failure, run::FailureKind};
    /// use std::time::Duration;
    /// let asked = Failure::throttled(Duration::from_secs(30), "429 Too Many Requests");
    /// assert_eq!(asked.kind(), FailureKind::Throttled(Some(Duration::from_secs(30))));
    /// let unsaid = Failure::throttled(None, "429 Too Many Requests");
    /// assert_eq!(unsaid.kind(), FailureKind::Throttled(None));
    /// ```
    pub fn throttled(delay: impl Into<Option<Duration>>, reason: impl Display) -> Self {
        Self::new(FailureKind::Throttled(delay.into()), &reason)
    }

    pub(crate) fn invalid_payload(reason: impl Display) -> Self {
        Self::new(FailureKind::InvalidPayload, &reason)
    }

    /// Makes a failure from an error with its causes.
    fn of(kind: FailureKind, error: BoxError) -> Self {
        let kind = if is_out_of_resources(&*error) { FailureKind::OutOfResources } else { kind };
        let failure = Self::new(kind, &Chain(&*error));
        Self { source: Some(Arc::from(error)), ..failure }
    }

    fn new(kind: FailureKind, reason: &dyn Display) -> Self {
        Self { kind, reason: bounded(reason.to_string()), source: None }
    }

    /// Returns the request.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the reason, at most [`MAX_REASON_BYTES`](crate::core::MAX_REASON_BYTES).
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the error from which the failure was made; `None` if it was made from a reason, for example with
    /// [`retry`](Self::retry). Unlike the reason in logs and stores, the texts of errors are not free of secrets.
    pub fn source(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// Returns the error from which the failure was made, and its causes from the outermost to the innermost.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first = self.source().map(|error| error as &(dyn Error + 'static));
        std::iter::successors(first, |&error| error.source())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.reason)
    }
}

/// Any error becomes a request to retry, with its whole chain as the reason. An error of the operating system that file descriptors
/// or memory are used up becomes [`FailureKind::OutOfResources`], also in [`OrReject`].
///
/// This is also why `Failure` is not itself an [`Error`].
impl<E: Into<Box<dyn Error + Send + Sync + 'static>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(FailureKind::Retry, error.into())
    }
}

/// An error with its causes, as `outer: inner: innermost`.
struct Chain<'a>(&'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            // Many libraries already print their cause.
            let inner = error.to_string();
            if !text.contains(&inner) {
                write!(text, ": {inner}")?;
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// Turns the error of a result into a rejection or a delayed retry, keeping the error with its chain as the reason. Takes the
/// same kinds of errors as `?`.
pub trait OrReject<T>: Sized {
    /// Rejects: no later attempt can succeed.
    fn or_reject(self) -> Result<T, Failure>
    where
        Self: WithError<T>,
    {
        self.or_fail(FailureKind::Reject)
    }

    /// Retries after `delay`.
    fn or_retry_after(self, delay: Duration) -> Result<T, Failure>
    where
        Self: WithError<T>,
    {
        self.or_fail(FailureKind::RetryAfter(delay))
    }
}

impl<T, E> OrReject<T> for Result<T, E> {}

/// It has no error, so its methods cannot be called: the compiler's message explains what to write instead.
#[doc(hidden)]
impl<T> OrReject<T> for Option<T> {}

/// A result whose error becomes a [`Failure`]. A separate trait, so that compiler errors explain what to write instead.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no error that can become a `Failure`",
    label = "expected a `Result` with an error that implements `std::error::Error`, and is `Send`, `Sync` and `'static`",
    note = "add the reason to an `Option`: `.ok_or(\"the reason\").or_reject()?`",
    note = "derive the error's implementation by `thiserror`, or map it: `.map_err(|error| Failure::reject(\"the reason\"))?`"
)]
pub trait WithError<T> {
    /// Makes a failure from the error.
    fn or_fail(self, kind: FailureKind) -> Result<T, Failure>;
}

#[diagnostic::do_not_recommend]
impl<T, E: Into<Box<dyn Error + Send + Sync + 'static>>> WithError<T> for Result<T, E> {
    fn or_fail(self, kind: FailureKind) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(kind, error.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::reason::MAX_REASON_BYTES;
    use std::io;

    #[test]
    fn any_error_means_retry_and_keeps_its_causes() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("no age")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let failure = Failure::from(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(failure.kind(), FailureKind::Retry);
        assert_eq!(failure.reason(), "no age: invalid digit found in string");
    }

    #[test]
    fn every_kind_of_error_keeps_its_chain() {
        use anyhow::Context as _;
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        let boxed: BoxError = Box::new(not_found());
        let context = Err::<(), _>(not_found()).context("no template").context("no mail").unwrap_err();
        let table = [
            (Failure::from(not_found()), "entity not found", 1),
            (Failure::from(boxed), "entity not found", 1),
            (Failure::from(anyhow::Error::from(not_found())), "entity not found", 1),
            (Failure::from(context), "no mail: no template: entity not found", 3),
            (Failure::from(anyhow::anyhow!("no {}", "route")), "no route", 1),
            (Failure::from("no route".to_owned()), "no route", 1),
            (Failure::from("no route"), "no route", 1),
            (Failure::retry("no route"), "no route", 0),
        ];
        for (failure, reason, errors) in table {
            assert_eq!((failure.kind(), failure.reason()), (FailureKind::Retry, reason));
            assert_eq!(failure.chain().count(), errors, "{reason}");
            assert_eq!(failure.source().is_some(), errors > 0, "{reason}");
        }
        let failure =
            Err::<(), _>(anyhow::Error::from(not_found()).context("no mail")).or_reject().unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Reject);
        let io = failure.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(io.unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_question_mark_takes_every_kind_of_error() {
        fn run(kind: u8) -> Result<u8, Failure> {
            let boxed = |text: &str| Err::<(), BoxError>(text.into());
            match kind {
                0 => Err(io::Error::other("io"))?,
                1 => boxed("boxed")?,
                2 => Err::<(), _>(anyhow::anyhow!("anyhow"))?,
                3 => Err::<(), _>("text")?,
                4 => Err::<(), _>(Failure::reject("failure"))?,
                _ => {}
            }
            Ok("7".parse()?)
        }
        let reasons = (0..5).map(|kind| run(kind).unwrap_err().to_string());
        assert_eq!(reasons.collect::<Vec<_>>(), ["io", "boxed", "anyhow", "text", "failure"]);
        assert_eq!(run(9).unwrap(), 7);
    }

    #[test]
    fn a_lack_of_descriptors_is_no_failure_of_the_job() {
        use anyhow::Context as _;
        let error = || io::Error::from_raw_os_error(24);
        let boxed: BoxError = Box::new(error());
        let context = Err::<(), _>(error()).context("no mail").unwrap_err();
        for failure in [
            Failure::from(error()),
            Failure::from(boxed),
            Failure::from(anyhow::Error::from(error())),
            Failure::from(context),
            Err::<(), _>(error()).or_reject().unwrap_err(),
            Err::<(), _>(error()).or_retry_after(Duration::from_secs(9)).unwrap_err(),
        ] {
            assert_eq!(failure.kind(), FailureKind::OutOfResources, "{failure}");
        }
    }

    #[test]
    fn a_failure_is_small_enough_for_every_result() {
        assert!(size_of::<Failure>() <= 64, "{}", size_of::<Failure>());
    }

    #[test]
    fn reasons_are_cut_at_a_characters_edge() {
        let failure = Failure::reject("ü".repeat(2000));
        assert!(failure.reason().len() <= MAX_REASON_BYTES);
        assert!(failure.reason().ends_with('…'));
    }
}
