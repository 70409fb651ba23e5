//! Calls Lambda's Runtime API through `lambda_runtime`, and reports the error that ends the conversation.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use lambda_runtime::{LambdaEvent, LambdaInvocation, Runtime, service_fn};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;
use tracing::info;

use crate::event::Event;
use crate::function::{Function, Invocation};

/// Handles invocations until Lambda ends the process. After a SIGTERM it returns when no invocation is open: Lambda sends
/// SIGTERM to functions with an extension, and soon afterwards kills processes that have not ended. See
/// [the shutdown
/// phase](https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown).
///
/// # Errors
/// The reason why the Runtime API cannot be used, worded for the operator.
pub(crate) async fn converse(function: Arc<Function>) -> Result<(), String> {
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let handle = move |event: LambdaEvent<Event>| {
        let function = Arc::clone(&function);
        async move {
            let (event, context) = event.into_parts();
            let invocation = Invocation {
                request_id: context.request_id,
                deadline_ms: context.deadline,
                xray_trace_id: context.xray_trace_id,
            };
            // Boxed because the runtime moves this future and it is large.
            Box::pin(function.handle(event, invocation)).await
        }
    };
    let (open, mut count) = watch::channel(0);
    // The library panics if variables or headers are missing.
    let runtime = catch_unwind(AssertUnwindSafe(|| Runtime::new(service_fn(handle)).layer(CountOpen(open))));
    let runtime = runtime.map_err(|panic| unlike_documented(&text_of(&*panic)))?;
    let mut runtime = tokio::spawn(runtime.run_concurrent());
    let ended = tokio::select! {
        ended = &mut runtime => ended,
        _ = terminated.recv() => {
            info!(invocations = *count.borrow(), "SIGTERM: no new invocation starts");
            tokio::select! {
                ended = &mut runtime => ended,
                _ = count.wait_for(|open| *open == 0) => return Ok(()),
            }
        }
    };
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("Lambda's Runtime API cannot be used: {error}")),
        Err(error) => {
            let text =
                error.try_into_panic().map_or_else(|error| error.to_string(), |panic| text_of(&*panic));
            Err(unlike_documented(&text))
        }
    }
}

/// Suppresses the log lines of panics in `lambda_runtime`, which [`converse`] returns as errors.
pub(crate) fn leave_out_panics_of_the_library() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let is_the_librarys = |file: &str| file.contains("lambda_runtime");
        if !panic.location().is_some_and(|location| is_the_librarys(location.file())) {
            report(panic);
        }
    }));
}

fn unlike_documented(text: &str) -> String {
    format!(
        "Lambda's environment or its Runtime API is not as documented, so the function got no invocation: {text}"
    )
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("its library panicked").to_owned()
}

/// Counts the invocations whose responses Lambda has not received.
#[derive(Clone)]
struct CountOpen(watch::Sender<usize>);

impl<S> Layer<S> for CountOpen {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, open: self.0.clone() }
    }
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    open: watch::Sender<usize>,
}

impl<S> Service<LambdaInvocation> for Counted<S>
where
    S: Service<LambdaInvocation>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let open = Open::new(&self.open);
        let answered = self.inner.call(invocation);
        Box::pin(async move {
            let result = answered.await;
            drop(open);
            result
        })
    }
}

/// An invocation that is counted until this value is dropped.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
