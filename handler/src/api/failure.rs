//! The words with which a handler says why it did not succeed.

use std::error::Error;
use std::fmt::{self, Display, Write};
use std::time::Duration;

use crate::core::reason::bounded;
use crate::core::resources::is_out_of_resources;

/// Why a handler did not succeed, and what it asks for: *retry*, *retry after a delay*, or *reject*.
///
/// `?` on any error means *retry*, because most failures pass: a handler says *reject* only where it knows that no
/// later attempt can succeed. Which SQS call follows is not the handler's to say.
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
pub struct Failure {
    wish: Wish,
    reason: String,
}

/// What a failed handler asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Try again, after the queue's or the job type's backoff.
    Retry,
    /// Try again after this long; the backoff policy is not asked.
    RetryAfter(Duration),
    /// Never try again: the message belongs into the DLQ.
    Reject,
    /// The payload does not fit the job type: permanent like a rejection, counted apart.
    Undecodable,
    /// Try again once the process has the file descriptors or the memory that this run lacked; no attempt is counted.
    OutOfResources,
    /// Try again once the target that the handler calls is healthy; no attempt is counted.
    TargetUnhealthy,
}

impl Failure {
    /// Asks for another attempt after the usual backoff.
    pub fn retry(reason: impl Display) -> Self {
        Self::new(Wish::Retry, &reason)
    }

    /// Asks for another attempt after `delay`, such as a server's `Retry-After`.
    ///
    /// SQS counts in whole seconds and to twelve hours: the delay is rounded up, and clamped to what remains.
    pub fn retry_after(delay: Duration, reason: impl Display) -> Self {
        Self::new(Wish::RetryAfter(delay), &reason)
    }

    /// Says that no attempt can ever succeed: the message goes to the DLQ without another run.
    pub fn reject(reason: impl Display) -> Self {
        Self::new(Wish::Reject, &reason)
    }

    /// Says that the process, or its machine, lacks file descriptors or memory: the queue is paused until it has them, and
    /// the run is no attempt. Every conversion from an error does so if one of its causes says so
    /// ([`is_out_of_resources`](crate::core::is_out_of_resources)); this is for errors that hide their causes.
    pub fn out_of_resources(reason: impl Display) -> Self {
        Self::new(Wish::OutOfResources, &reason)
    }

    /// Reports that the service which the handlers of the queue depend on is unhealthy as a whole, such as one that refuses
    /// connections: the queue is paused until a run succeeds or fails otherwise, and the run is no attempt. Not for the failure
    /// of one request, which may be the message's own.
    pub fn target_unhealthy(reason: impl Display) -> Self {
        Self::new(Wish::TargetUnhealthy, &reason)
    }

    pub(crate) fn undecodable(reason: impl Display) -> Self {
        Self::new(Wish::Undecodable, &reason)
    }

    /// Makes a failure of an error with its causes.
    fn of(wish: Wish, error: &(dyn Error + 'static)) -> Self {
        let wish = if is_out_of_resources(error) { Wish::OutOfResources } else { wish };
        Self::new(wish, &Chain(error))
    }

    fn new(wish: Wish, reason: &dyn Display) -> Self {
        Self { wish, reason: bounded(reason.to_string()) }
    }

    /// What the handler asks for.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// The reason in words, at most [`MAX_REASON_BYTES`](crate::core::MAX_REASON_BYTES).
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn into_parts(self) -> (Wish, String) {
        (self.wish, self.reason)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.wish, self.reason)
    }
}

/// Any error is a wish to retry; its whole chain becomes the reason. An error of the operating system that file descriptors or
/// memory are used up is [`Wish::OutOfResources`], and so it is in [`OrReject`].
///
/// This is also why `Failure` is not itself an [`Error`].
impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(Wish::Retry, &error)
    }
}

/// An error with its causes, as `outer: inner: innermost`.
struct Chain<'a>(&'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            // Many libraries already print their cause; saying it twice helps nobody.
            let inner = error.to_string();
            if !text.contains(&inner) {
                write!(text, ": {inner}")?;
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// Turns the error of a result into a rejection or a delayed retry, keeping its chain as the reason.
pub trait OrReject<T> {
    /// No later attempt can succeed.
    fn or_reject(self) -> Result<T, Failure>;
    /// A later attempt may succeed, after `delay`.
    fn or_retry_after(self, delay: Duration) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> OrReject<T> for Result<T, E> {
    fn or_reject(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(Wish::Reject, &error))
    }

    fn or_retry_after(self, delay: Duration) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(Wish::RetryAfter(delay), &error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::reason::MAX_REASON_BYTES;

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
        assert_eq!(failure.wish(), Wish::Retry);
        assert_eq!(failure.reason(), "no age: invalid digit found in string");
    }

    #[test]
    fn a_lack_of_descriptors_is_no_failure_of_the_job() {
        let error = || std::io::Error::from_raw_os_error(24);
        assert_eq!(Failure::from(error()).wish(), Wish::OutOfResources);
        assert_eq!(Err::<(), _>(error()).or_reject().unwrap_err().wish(), Wish::OutOfResources);
        let delayed = Err::<(), _>(error()).or_retry_after(Duration::from_secs(9));
        assert_eq!(delayed.unwrap_err().wish(), Wish::OutOfResources);
    }

    #[test]
    fn reasons_are_cut_at_a_characters_edge() {
        let failure = Failure::reject("ü".repeat(2000));
        assert!(failure.reason().len() <= MAX_REASON_BYTES);
        assert!(failure.reason().ends_with('…'));
    }
}
