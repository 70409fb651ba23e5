//! Batches as large as Lambda sends them: 10,000 records, or 6 MB.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use std::collections::HashSet;

use drumline_tests::{App, Record, Setup, sqs_event};

use crate::apps::{ids_where, run, scene};

/// The most records of a batch.
const MOST_RECORDS: usize = 10_000;

/// The largest event.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// The longest message.
const LONGEST_BODY: usize = 1024 * 1024;

fn distinct_bodies(app: &App) -> HashSet<String> {
    app.calls().into_iter().map(|call| call.body).collect()
}

#[tokio::test]
async fn ten_thousand_small_records_each_run_once() {
    let (app, queue, function) = scene(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let sent: Vec<String> =
        (0..MOST_RECORDS).map(|n| format!("{} {n}", if n % 100 == 99 { "422 x" } else { "200" })).collect();
    let batch = queue.batch(&sent).await;
    let answered = run(&function, &batch).await;
    let failed = ids_where(&batch, |body| body.starts_with("422"));
    assert_eq!(failed.len(), 100);
    answered.expect_failed(&failed);
    assert_eq!((app.count(), distinct_bodies(&app).len()), (MOST_RECORDS, MOST_RECORDS));
    for id in &failed {
        assert!(queue.hidden_for(id).is_zero(), "ten to a call, all of them");
    }
}

#[tokio::test]
async fn six_megabytes_are_passed_on_whole() {
    let (app, _queue, function) = scene(Setup::default()).await;
    let whole = |n: usize| Record::hand_made(&format!("200 {n} {}", "x".repeat(LONGEST_BODY - 6)));
    let mut batch: Vec<Record> = (0..5).map(whole).collect();
    let rest = LARGEST_EVENT - sqs_event(&batch).len();
    let overhead = sqs_event(&[Record::hand_made("")]).len();
    batch.push(Record::hand_made(&"y".repeat(rest - overhead)));
    assert!((LARGEST_EVENT - 100..=LARGEST_EVENT).contains(&sqs_event(&batch).len()));
    run(&function, &batch).await.expect_all_done();
    let expected: HashSet<String> = batch.iter().map(Record::body).collect();
    assert!(distinct_bodies(&app) == expected);
    assert_eq!(app.count(), 6);

    // Characters that JSON escapes, and those of two to four bytes.
    let text = "\"\\/\n\t€ß\u{10FFFF}\u{85}".repeat(20_000);
    run(&function, &[Record::hand_made(&text)]).await.expect_all_done();
    assert!(app.calls()[6].body == text);
}
