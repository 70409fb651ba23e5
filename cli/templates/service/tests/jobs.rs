//! The jobs, an attempt at a time, run by the code of a host: no queue, no AWS, no waiting.

use drumline::core::Outcome;
use drumline::testing::{At, Tester};

use my_service::{report::Report, router, welcome::Welcome};

fn user(user_id: u64, name: &str) -> Welcome {
    let name = name.to_owned();
    Welcome { user_id, name }
}

#[tokio::test]
async fn a_new_user_is_welcomed() {
    let run = Tester::new(router()).job(&user(7, "Ada")).await;
    assert!(run.is_done(), "{run}");
    assert_eq!(run.result::<String>().as_deref(), Some("welcomed Ada"));
}

#[tokio::test]
async fn a_duplicate_has_no_second_effect() {
    let tester = Tester::new(router());
    let first = tester.job(&user(7, "Ada")).await;
    assert!(first.is_done() && first.ran(), "{first}");

    let duplicate = tester.job(&user(7, "Ada")).await;
    assert!(duplicate.is_done() && !duplicate.ran(), "{duplicate}");
}

#[tokio::test]
async fn poison_goes_to_the_dlq_with_its_reason() {
    let tester = Tester::new(router());
    let rejected = tester.job(&user(7, "")).await;
    assert!(rejected.is_dead(), "{rejected}");
    assert_eq!(rejected.reason().as_deref(), Some("the name is empty"));

    let no_payload = r#"{"type":"mail.welcome","payload":{}}"#;
    let run = tester.body(no_payload).await;
    assert!(run.is_dead(), "{run}");
}

#[tokio::test]
async fn a_report_that_runs_out_of_time_resumes_from_its_checkpoint() {
    let tester = Tester::new(router());
    let job = Report {
        report_id: 1,
        records: 5,
    };
    let stopped = tester.job(&job).time_out(At::Progress(2)).await;
    assert!(
        matches!(stopped.outcome(), Outcome::RetryAfter(_)),
        "{stopped}"
    );
    assert_eq!(stopped.checkpoint(), Some(2), "{stopped}");

    let resumed = tester.job(&job).await;
    assert!(resumed.is_done(), "{resumed}");
    assert_eq!(resumed.progress()[0].done, 3, "{resumed}");
}
