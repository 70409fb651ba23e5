#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A check that fails until `answers` is set.
fn check(answers: &Arc<AtomicBool>) -> Check {
    let answers = Arc::clone(answers);
    Arc::new(move || {
        let answers = answers.load(Ordering::SeqCst);
        Box::pin(async move { if answers { Ok(()) } else { Err("connection refused (111)".to_owned()) } })
    })
}

fn of_application(answers: &Arc<AtomicBool>, has_path: bool) -> TargetHealth {
    let path = has_path.then(|| check(answers));
    let health = TargetHealth::new("http://app/".to_owned(), Some(check(answers)), path);
    health.probe_on(Handle::current());
    health
}

async fn fails(health: &TargetHealth, count: usize) -> bool {
    let mut is_target = false;
    for n in 0..count {
        is_target = health.failed("t", &n.to_string(), "503").await;
    }
    is_target
}

fn probe(health: &TargetHealth) -> Option<Probe> {
    health.0.state.borrow().trouble.as_ref().map(|trouble| trouble.probe)
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_trouble_until_a_connection_succeeds() {
    let answers = Arc::<AtomicBool>::default();
    let health = of_application(&answers, false);
    health.check().await;
    assert_eq!(probe(&health), Some(Probe::Host));
    tokio::time::sleep(secs(300)).await;
    health.answered("t", Instant::now());
    assert!(health.is_unhealthy(), "an old connection may have answered");
    answers.store(true, Ordering::SeqCst);
    tokio::time::timeout(secs(3), health.watch().wait_for(|state| state.trouble.is_none()))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_trouble_too() {
    let hangs: Check = Arc::new(|| Box::pin(std::future::pending()));
    let health = TargetHealth::new("http://app/".to_owned(), Some(hangs), None);
    health.check().await;
    assert_eq!(
        health.watch().borrow().trouble.as_ref().map(|trouble| &*trouble.reason),
        Some("no answer within 5s")
    );
}

#[tokio::test(start_paused = true)]
async fn failing_answers_are_trouble_until_one_is_proper() {
    let health = of_application(&Arc::default(), false);
    let begun = Instant::now();
    assert!(fails(&health, 3).await);
    assert_eq!(probe(&health), Some(Probe::Message));
    health.answered("t", begun);
    assert!(health.is_unhealthy(), "that request began before");
    health.answered("t", Instant::now());
    assert!(!health.is_unhealthy());
    assert!(!fails(&health, 2).await, "earlier failures do not count");
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_same_moment_are_decided_together() {
    let health = of_application(&Arc::default(), false);
    let (a, b, c) = tokio::join!(
        health.failed("t", "a", "503"),
        health.failed("t", "b", "503"),
        health.failed("t", "c", "503")
    );
    assert!(a && b && c);
}

#[tokio::test(start_paused = true)]
async fn an_outage_right_after_an_answer_is_recognised() {
    let health = of_application(&Arc::default(), false);
    health.answered("a", Instant::now());
    let mut is_target = Vec::new();
    for (id, job_type) in ["a", "b", "a", "b"].iter().enumerate() {
        is_target.push(health.failed(job_type, &id.to_string(), "503").await);
    }
    assert_eq!(is_target, [false, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_same_moment_shows_that_the_target_works() {
    let health = of_application(&Arc::default(), false);
    let answer = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        health.answered("t", Instant::now());
    };
    let (a, b, c, ()) = tokio::join!(
        health.failed("t", "a", "503"),
        health.failed("t", "b", "503"),
        health.failed("t", "c", "503"),
        answer
    );
    assert!(!a && !b && !c);
}

#[tokio::test(start_paused = true)]
async fn message_probes_become_rare_and_end_at_a_refused_connection() {
    let answers = Arc::<AtomicBool>::default();
    let health = of_application(&answers, false);
    fails(&health, 3).await;
    let mut state = health.watch();
    let begun = Instant::now();
    let mut waits = Vec::new();
    for n in 1..=7 {
        state.wait_for(|state| state.message_probes == n).await.unwrap();
        waits.push(begun.elapsed().as_secs());
    }
    assert_eq!(waits, [1, 3, 7, 15, 31, 61, 91]);
    health.unreachable("connection refused (111)");
    assert_eq!(probe(&health), Some(Probe::Host));
    answers.store(true, Ordering::SeqCst);
    tokio::time::timeout(secs(1), state.wait_for(|state| state.trouble.is_none())).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_health_check_takes_the_place_of_messages() {
    let answers = Arc::<AtomicBool>::default();
    let health = of_application(&answers, true);
    fails(&health, 3).await;
    assert_eq!(probe(&health), Some(Probe::Host));
    tokio::time::sleep(secs(60)).await;
    answers.store(true, Ordering::SeqCst);
    tokio::time::sleep(secs(3)).await;
    assert!(!health.is_unhealthy());
    assert_eq!(health.0.state.borrow().message_probes, 0);
}

#[tokio::test(start_paused = true)]
async fn failures_after_a_healthy_check_are_probed_less_and_less() {
    let health = of_application(&Arc::new(AtomicBool::new(true)), true);
    let mut state = health.watch();
    assert!(fails(&health, 3).await);
    assert_eq!(probe(&health), Some(Probe::Host));
    state.wait_for(|state| state.trouble.is_none()).await.unwrap();
    // Every job fails, regardless of the health check.
    let mut probes = 0;
    for waits in [[1, 3, 7], [8, 24, 54]] {
        tokio::time::sleep(secs(50)).await;
        assert!(fails(&health, 3).await);
        assert_eq!(probe(&health), Some(Probe::Message));
        let begun = Instant::now();
        for wait in waits {
            probes += 1;
            state.wait_for(|state| state.message_probes == probes).await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), wait);
            assert!(fails(&health, 1).await, "still unhealthy");
        }
        health.answered("t", Instant::now());
        assert!(!health.is_unhealthy());
    }
    tokio::time::sleep(secs(61)).await;
    assert!(fails(&health, 3).await);
    assert_eq!(probe(&health), Some(Probe::Host), "long after, a health check is enough again");
}

#[tokio::test(start_paused = true)]
async fn a_function_learns_it_from_answers_alone() {
    let health = TargetHealth::new("http://app/".to_owned(), Some(check(&Arc::default())), None);
    fails(&health, 3).await;
    tokio::time::sleep(secs(60)).await;
    assert!(fails(&health, 1).await, "the next failure is decided at once");
    health.answered("t", Instant::now());
    assert!(!health.is_unhealthy());
    health.unreachable("connection refused (111)");
    tokio::time::sleep(secs(60)).await;
    assert!(health.is_unhealthy());
    health.answered("t", Instant::now());
    assert!(!health.is_unhealthy());
}
