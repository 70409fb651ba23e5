//! A report whose worker is killed half-way.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use drumline_tests::{Launch, Setup, TestQueue, Worker, eventually_within, get, shared_store};
use serde_json::{Value, json};

use crate::{POSTGRES, REDIS, sharing, unique};

const LONG: Duration = Duration::from_secs(120);

/// Enough to be caught half-way: a worker tells once a second how far it is, and two million take it two seconds. So half
/// of them is told with more than a second to go, and on a machine of twice the speed with half a second.
const RECORDS: usize = 6_000_000;

fn source(path: &Path) {
    let mut text = String::from("id,country,amount\n");
    for n in 0..RECORDS {
        let country = ["DE", "FR", "\"IT, north\"", "US", "NZ"][n * 7 % 5];
        writeln!(text, "{n},{country},{}.{:02}", n * 31 % 1000, n % 100).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

fn report(folder: &Path, id: &str, target: &str) -> String {
    let file = |name: &str| format!("file://{}", folder.join(name).display());
    let payload = json!({
        "source": file("sales.csv"),
        "target": file(target),
        "groupBy": "country",
        "value": "amount",
        "title": "Sales",
    });
    json!({ "type": "report.generate", "jobId": id, "payload": payload }).to_string()
}

async fn progress(worker: &Worker, id: &str) -> Option<(u64, u64)> {
    let (_, text) = get(&worker.endpoint(&format!("/jobs/{id}"))).await?;
    let record: Value = serde_json::from_str(&text).ok()?;
    let count = |name: &str| record["progress"][name].as_u64();
    Some((count("done")?, count("total")?))
}

#[tokio::test]
async fn is_resumed_and_equals_an_unbroken_one() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let queue = TestQueue::create("report", Setup { visibility_secs: 5, ..Setup::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        source(&root.join("sales.csv"));
        let launch =
            || -> Launch { sharing(&queue, &store).env("DRUMLINE_FILE_ROOT", &root.display().to_string()) };
        let done = async |target: &str| {
            let written = root.join(format!("{target}.csv"));
            eventually_within(LONG, "the report is there", async || {
                written.exists() && queue.is_empty().await
            })
            .await;
        };

        let worker = launch().spawn();
        let id = unique("report");
        queue.send(&report(&root, &id, "broken")).await;
        eventually_within(LONG, "half of it is done", async || {
            progress(&worker, &id).await.is_some_and(|(done, total)| done * 2 >= total)
        })
        .await;
        assert!(!root.join("broken.csv").exists(), "it is killed before its end");
        worker.kill().await;

        let worker = launch().spawn();
        done("broken").await;
        let resumed = worker.logged("the report goes on where it was interrupted");
        assert_eq!(resumed.len(), 1, "{resumed:?}");
        let records = resumed[0]["records"].as_u64().unwrap();
        assert!(records > RECORDS as u64 / 4, "from record {records} on, of {RECORDS}");
        queue.send(&report(&root, &unique("report"), "whole")).await;
        done("whole").await;
        for suffix in ["csv", "html"] {
            let read = |name: &str| std::fs::read(root.join(format!("{name}.{suffix}"))).unwrap();
            assert!(read("broken") == read("whole"), "the {suffix} files differ");
        }
        worker.stop().await;
    }
}
