//! A future that runs as a part of an attempt.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use crate::api::context::Context;

pin_project! {
    /// Has its attempt be [`Context::current`] whenever the future runs.
    pub(crate) struct InAttempt<F> {
        context: Context,
        #[pin]
        future: F,
    }
}

impl<F> InAttempt<F> {
    pub(crate) fn new(context: Context, future: F) -> Self {
        Self { context, future }
    }
}

impl<F: Future> Future for InAttempt<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.context.enter();
        this.future.poll(cx)
    }
}
