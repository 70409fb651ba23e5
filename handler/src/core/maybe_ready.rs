//! The response of a host or a store, available at once or later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer that is available, or a future of one: the return type of traits that are used as objects.
///
/// A future has to be allocated, which short jobs notice. So an implementation that can answer at once does so in the call; any
/// other does nothing before it is polled.
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
    /// `None` after it was taken.
    Now(Option<T>),
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> MaybeReady<'a, T> {
    /// Makes an available answer.
    pub fn now(answer: T) -> Self {
        Self(Kind::Now(Some(answer)))
    }

    /// Makes an answer from a future.
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

/// Nothing in it is pinned: a future is boxed.
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
