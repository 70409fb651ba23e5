//! A future that runs as a part of an attempt.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use crate::api::context::Context;

pin_project! {
    /// Makes its attempt [`Context::current`] whenever the future runs.
    pub(crate) struct InAttempt<F> {
        // The context of the polling thread while the future runs.
        context: Option<Context>,
        #[pin]
        future: F,
    }
}

impl<F> InAttempt<F> {
    pub(crate) fn new(context: Context, future: F) -> Self {
        Self { context: Some(context), future }
    }

    /// Makes no attempt the current one whenever the future runs, because the future belongs to several.
    pub(crate) fn outside(future: F) -> Self {
        Self { context: None, future }
    }
}

/// Makes a context the thread's current one until this is dropped. It is moved there and back, not cloned, because futures are
/// polled often.
struct Swapped<'a>(&'a mut Option<Context>);

impl<'a> Swapped<'a> {
    fn new(place: &'a mut Option<Context>) -> Self {
        Context::swap_current(place);
        Self(place)
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        Context::swap_current(self.0);
    }
}

impl<F: Future> Future for InAttempt<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _swapped = Swapped::new(this.context);
        this.future.poll(cx)
    }
}
