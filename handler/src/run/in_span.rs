//! A future that runs inside a span.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;
use tracing::Span;

pin_project! {
    /// Enters a span whenever the future runs or is dropped. Unlike [`tracing::Instrument`], it borrows the span, and enters it
    /// only once for a future that is ready at once: spans are a large part of the cost of a short job.
    pub(crate) struct InSpan<'a, F> {
        span: &'a Span,
        // `None` when it is ready.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InSpan<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _entered = this.span.enter();
                this.future.set(None);
            }
        }
    }
}

impl<'a, F> InSpan<'a, F> {
    pub(crate) fn new(span: &'a Span, future: F) -> Self {
        Self { span, future: Some(future) }
    }
}

impl<F: Future> Future for InSpan<'_, F> {
    type Output = F::Output;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = this.span.enter();
        let future = this.future.as_mut().as_pin_mut().expect("polled once more after it was ready");
        let output = ready!(future.poll(cx));
        this.future.set(None);
        Poll::Ready(output)
    }
}
