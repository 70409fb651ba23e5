//! Runs handlers on tokio in a test.

use std::sync::Mutex;

use drumline::testing::{TestMessage, TestRuntime, Tester};
use drumline::{Context, Failure, Router};

/// Tokio's clock, which a test can pause, and tokio's threads for blocking work, for [`Tester::on`]: the same as in both hosts.
///
/// ```
/// use std::time::Duration;
/// use drumline::{Context, Failure, Job, Router};
/// use drumline_testing::{TOKIO, Tester};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Poll;
/// # impl Job for Poll { const TYPE: &'static str = "poll"; }
///
/// async fn poll(ctx: Context, _: Poll) -> Result<(), Failure> {
///     tokio::time::sleep(Duration::from_secs(60)).await;
///     let sum = ctx.blocking(|| Ok((1..=1000_u64).sum::<u64>())).await?;
///     ctx.set_result(&sum)
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let run = Tester::new(Router::new().handle(poll)).on(TOKIO).job(&Poll).await;
/// assert_eq!(run.result(), Some(500_500), "{run}");
/// # }
/// ```
pub const TOKIO: TestRuntime = TestRuntime {
    now: || tokio::time::Instant::now().into_std(),
    sleep: |time| Box::pin(tokio::time::sleep(time)),
    spawn_blocking: |work| drop(tokio::task::spawn_blocking(work)),
};

/// Returns a message whose handler is this code, on [tokio](TOKIO), for tests of functions that take a [`Context`].
///
/// ```
/// use drumline::{Context, Failure};
/// use drumline_testing::{At, with_context};
///
/// async fn until_stopped(ctx: &Context) -> Result<(), Failure> {
///     ctx.cancelled().await;
///     Err(Failure::retry("stopped"))
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let run = with_context(async |ctx| until_stopped(&ctx).await).time_out(At::FirstWait).await;
/// assert!(!run.was_dropped(), "{run}");
/// # }
/// ```
///
/// # Panics
/// If it is awaited twice.
pub fn with_context<F, Fut>(code: F) -> TestMessage
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let code = Mutex::new(Some(code));
    let take = move || code.lock().ok()?.take();
    let router = Router::passthrough(move |ctx| take().expect("it runs once")(ctx));
    Tester::new(router).on(TOKIO).body("")
}
