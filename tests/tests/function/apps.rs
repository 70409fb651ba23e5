//! Applications whose answer the message defines, and the common start of many tests.

use std::sync::Arc;

use drumline_tests::{Answer, Answered, App, Call, FunctionLaunch, FunctionProcess, Invocation, LocalQueue};
use drumline_tests::{Record, Setup, sqs_event};
use tokio::sync::Barrier;

/// A body that gets no answer.
pub(crate) const HANGS: &str = "hang";

/// Answers with the status at the beginning of the body, and with `Retry-After` if a second number follows. [`HANGS`] gets no
/// answer, and all other bodies get 200.
pub(crate) async fn obedient() -> App {
    App::start(answer).await
}

async fn answer(call: Call) -> Answer {
    if call.body.starts_with(HANGS) {
        std::future::pending::<()>().await;
    }
    let mut words = call.body.split(' ');
    let Some(status) = words.next().and_then(|word| word.parse().ok()) else { return Answer::ok() };
    match words.next().filter(|word| word.parse::<u32>().is_ok()) {
        Some(seconds) => Answer::status(status).header("retry-after", seconds),
        None => Answer::status(status).body("as told"),
    }
}

/// Answers when this many requests have arrived.
pub(crate) async fn meeting(count: usize) -> App {
    let barrier = Arc::new(Barrier::new(count));
    App::start(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Answer::ok()
        }
    })
    .await
}

/// Returns an obedient application, a queue with a DLQ, and the function between them.
pub(crate) async fn scene(setup: Setup) -> (App, LocalQueue, FunctionProcess) {
    let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    (app, queue, function)
}

/// Invokes the function with these records and plenty of time.
pub(crate) async fn run(function: &FunctionProcess, batch: &[Record]) -> Answered {
    function.invoke(Invocation::new(sqs_event(batch))).await
}

/// Returns the bodies that the application got, in order of their arrival.
pub(crate) fn bodies(app: &App) -> Vec<String> {
    app.calls().into_iter().map(|call| call.body).collect()
}

/// Returns the same bodies sorted: concurrent jobs arrive in any order.
pub(crate) fn sorted_bodies(app: &App) -> Vec<String> {
    let mut bodies = bodies(app);
    bodies.sort();
    bodies
}

/// Returns the IDs of the records with such a body.
pub(crate) fn ids_where(batch: &[Record], is_such: impl Fn(&str) -> bool) -> Vec<String> {
    batch.iter().filter(|record| is_such(&record.body())).map(Record::id).collect()
}
