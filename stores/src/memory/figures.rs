//! Measures the memory of a store that has seen 100,000 jobs, in a process of its own:
//! `ID_BYTES=2000 cargo test -p drumline-store --lib -- --ignored --nocapture memory_figure`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::fs;

use drumline::message::Identity;

use super::tests::{granted, request, store};
use super::*;

fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
}

#[tokio::test]
#[ignore = "a measurement"]
async fn memory_figure() {
    let bytes: usize = crate::variable("ID_BYTES").unwrap().parse().unwrap();
    let before = resident_mb();
    let store = store();
    let id = |name: &str, number: u32| format!("{number:0>width$}", width = bytes - name.len()) + name;
    let begun = std::time::Instant::now();
    for number in 0..100_000 {
        let identity =
            Identity::new("arn:jobs", "image.process", None, id("k", number)).with_job_id(id("j", number));
        let request = ClaimRequest { identity: Arc::new(identity), ..request("any") };
        let progress = ProgressRecord { at_ms: 1, done: 1, total: 2, unit: "units".to_owned() };
        store.progress(&request.identity, &progress).await.unwrap();
        let attempt = AttemptRecord {
            at_ms: 1,
            message_id: "b6f33a5c-7b1c-4f8e-9a53-1f4f4f4f4f4f".to_owned(),
            job_id: Some(id("j", number)),
            queue: "jobs".to_owned(),
            job_type: Some("image.process".to_owned()),
            attempt: 1,
            receive_count: 1,
            worker: "worker-1".to_owned(),
            took_ms: 1,
            class: "retry_asked".to_owned(),
            reason: "r".repeat(200),
            outcome: "retry".to_owned(),
            retry_in_ms: None,
            last_attempt: false,
            log: Vec::new(),
        };
        store.attempted(&request.identity, &attempt).await.unwrap();
        let claim = granted(&store, &request).await;
        store.finish(&claim, None).await.unwrap();
        let identity = Identity::clone(&request.identity).with_job_id(id("d", number));
        let duplicate = ClaimRequest { identity: Arc::new(identity), ..request };
        store.claim(&duplicate).await.unwrap();
    }
    println!("ids of {bytes} bytes: {} MB more, {:?}", resident_mb() - before, begun.elapsed());
}
