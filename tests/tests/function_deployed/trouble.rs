//! Handlers that panic, block, or end the process.

use std::path::{Path, PathBuf};

use drumline_tests::{DeployedFunction, Deployment, Setup, TestQueue, can_deploy, eventually};
use serde_json::json;
use tempfile::TempDir;

const TIMEOUT_SECS: i32 = 6;

/// A function with its own handlers, and a queue with a batch of its jobs.
struct Errands {
    queue: TestQueue,
    function: DeployedFunction,
    folder: TempDir,
}

impl Errands {
    /// Sends three jobs, of which the one named like the failure has it, and makes the function run them.
    async fn begin(trouble: &str) -> Self {
        // Lambda requires a visibility timeout of at least the function's timeout. A short one redelivers a lost batch soon.
        let setup = Setup { visibility_secs: 8, ..Setup::default() };
        let (queue, folder) = (TestQueue::create(trouble, setup).await, tempfile::tempdir().unwrap());
        for name in ["before", trouble, "after"] {
            let is_troubled = name == trouble;
            let payload = json!({
                "name": name,
                "diary": diary(folder.path()),
                "trouble": is_troubled.then_some(trouble),
            });
            queue.send(&json!({ "type": "errand", "payload": payload }).to_string()).await;
        }
        let function = Deployment::of(PathBuf::from(env!("CARGO_BIN_EXE_troubled_function")))
            .env("DRUMLINE_RETRY", "schedule(1s)")
            .timeout_secs(TIMEOUT_SECS)
            .create(trouble)
            .await;
        function.feed_from(&queue, 10).await;
        let errands = Self { queue, function, folder };
        eventually("all are done and deleted", async || {
            errands.ran().contains(&format!("{trouble} 2")) && errands.queue.is_empty().await
        })
        .await;
        assert_eq!(errands.queue.dead_count().await, 0);
        errands
    }

    /// Returns names and attempts of the runs, sorted.
    fn ran(&self) -> Vec<String> {
        let text = std::fs::read_to_string(diary(self.folder.path())).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    async fn log(&self) -> String {
        self.function.log().await.join("\n")
    }
}

fn diary(folder: &Path) -> PathBuf {
    folder.join("diary")
}

#[tokio::test]
async fn a_panic_fails_its_own_message_only() {
    if !can_deploy() {
        return;
    }
    let errands = Errands::begin("panic").await;
    assert_eq!(errands.ran(), ["after 1", "before 1", "panic 1", "panic 2"]);
    eventually("the panic is logged", async || errands.log().await.contains("is told to panic")).await;
}

#[tokio::test]
async fn an_unstoppable_handler_delays_no_response_and_no_other_job() {
    if !can_deploy() {
        return;
    }
    let errands = Errands::begin("block").await;
    assert_eq!(errands.ran(), ["after 1", "before 1", "block 1", "block 2"]);
    eventually("all invocations are logged", async || errands.function.invocations().await >= 2).await;
    let log = errands.log().await;
    assert!(!log.contains("Task timed out"), "{log}");
}

/// A batch whose process has ended has no response, so all of it is redelivered when its visibility timeout has passed.
#[tokio::test]
async fn a_process_that_ends_loses_nothing() {
    if !can_deploy() {
        return;
    }
    let errands = Errands::begin("abort").await;
    let ran = errands.ran();
    for name in ["before 2", "abort 1", "abort 2", "after 2"] {
        assert!(ran.iter().any(|line| line == name), "{name} in {ran:?}");
    }
}
