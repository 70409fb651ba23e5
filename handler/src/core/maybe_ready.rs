//! The response of a host or a store, available at once or later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer that is here, or a future of one: what traits return that are used as objects.
///
/// A future has to be allocated, and short jobs notice. So who can answer at once does, when it is asked; who cannot does
/// nothing before it is polled.
///
/// ```
/// use drumline::core::{MaybeReady, Ownership};
/// # async fn example() {
/// assert_eq!(MaybeReady::now(Ownership::Kept).await, Ownership::Kept);
/// assert_eq!(MaybeReady::later(async { Ownership::Lost }).await, Ownership::Lost);
/// # }
/// ```
#[must_use = "what answers later does nothing unless it is awaited"]
pub struct MaybeReady<'a, T>(Kind<'a, T>);

enum Kind<'a, T> {
    /// `None` once it was taken.
    Now(Option<T>),
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> MaybeReady<'a, T> {
    /// The answer.
    pub fn now(answer: T) -> Self {
        Self(Kind::Now(Some(answer)))
    }

    /// The answer is what comes of the future.
    pub fn later(answer: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Kind::Later(Box::pin(answer)))
    }

    /// The answer, if it is here. Where it is not, nothing has been done for it, and asking again does no harm.
    ///
    /// ```
    /// use drumline::core::{MaybeReady, Ownership};
    /// assert_eq!(MaybeReady::now(Ownership::Kept).at_once(), Some(Ownership::Kept));
    /// assert_eq!(MaybeReady::later(async { Ownership::Kept }).at_once(), None);
    /// ```
    pub fn at_once(self) -> Option<T> {
        match self.0 {
            Kind::Now(answer) => answer,
            Kind::Later(_) => None,
        }
    }
}

/// Nothing in it is pinned: a future that comes later has a place of its own.
impl<T> Unpin for MaybeReady<'_, T> {}

impl<T> Future for MaybeReady<'_, T> {
    type Output = T;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Kind::Now(answer) => Poll::Ready(answer.take().expect("polled once more after it was ready")),
            Kind::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for MaybeReady<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Now(_) => "MaybeReady::now",
            Kind::Later(_) => "MaybeReady::later",
        })
    }
}
