//! Jobs with limits in a function: a batch holds them while its time allows, and returns the others until their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drumline_tests::{
    Answer, App, FunctionLaunch, FunctionProcess, Invocation, LocalQueue, Setup, ids, sqs_event,
};

const MAIL: &str = r#"{"type":"mail.send","payload":{}}"#;

/// Returns a function that sends one mail at a time, through an application that takes this long for each, and the peak of
/// concurrent mails.
async fn scene(takes: Duration) -> (App, Arc<AtomicUsize>, LocalQueue, FunctionProcess) {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let at_most = Arc::clone(&most);
    let app = App::start(move |_| {
        let running = Arc::clone(&running);
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(takes).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Answer::ok()
        }
    })
    .await;
    let queue = LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let launch = FunctionLaunch::forwarding(&app, &queue);
    let settings = launch.home().join("drumline.toml");
    std::fs::write(&settings, "[limits.\"mail.send\"]\nconcurrency = 1\n").unwrap();
    let function = launch.env("DRUMLINE_CONFIG", &settings.display().to_string()).spawn().await;
    (app, at_most, queue, function)
}

#[tokio::test]
async fn a_batch_waits_for_its_limit_while_it_has_time() {
    let (app, most, queue, function) = scene(Duration::from_millis(100)).await;
    for _ in 0..2 {
        let batch = queue.batch(&[MAIL; 8]).await;
        function.invoke(Invocation::new(sqs_event(&batch))).await.expect_all_done();
    }
    assert_eq!((app.count(), most.load(Ordering::SeqCst)), (16, 1));
}

#[tokio::test]
async fn what_has_no_time_left_is_returned_until_its_turn() {
    let (app, most, queue, function) = scene(Duration::from_secs(1)).await;
    let batch = queue.batch(&[MAIL; 8]).await;
    // The response is sent one second before the timeout, the drain begins 3.5 s before that, and held messages return 2 s
    // before that.
    let timeout = Duration::from_secs(9);
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(timeout)).await;
    assert!(answered.after < timeout, "{:?}", answered.after);
    let done: Vec<String> = app.ids();
    assert!((2..=4).contains(&done.len()), "{done:?}");
    assert_eq!(most.load(Ordering::SeqCst), 1);
    let left: Vec<String> = ids(&batch).into_iter().filter(|id| !done.contains(id)).collect();
    answered.expect_failed(&left);
    let mut hidden: Vec<u64> = left.iter().map(|id| queue.hidden_for(id).as_secs()).collect();
    hidden.sort_unstable();
    assert!(hidden.last().is_some_and(|longest| *longest <= 12), "{hidden:?}");
    queue.settle(&batch, &answered);
    let again = queue.receive(left.len()).await;
    let answered = function.invoke(Invocation::new(sqs_event(&again))).await;
    answered.expect_all_done();
    assert_eq!(app.count(), 8, "each ran once");
}
