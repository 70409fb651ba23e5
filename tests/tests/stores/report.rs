//! A report whose worker is killed half-way.

use std::fmt::Write as _;
use std::path::Path;

use drumline_tests::{HeldObject, Launch, Setup, TestQueue, Worker, eventually, get, shared_store};
use serde_json::{Value, json};

use crate::{POSTGRES, REDIS, sharing, unique};

const RECORDS: usize = 500_000;

fn source() -> Vec<u8> {
    let mut text = String::from("id,country,amount\n");
    for n in 0..RECORDS {
        let country = ["DE", "FR", "\"IT, north\"", "US", "NZ"][n * 7 % 5];
        writeln!(text, "{n},{country},{}.{:02}", n * 31 % 1000, n % 100).unwrap();
    }
    text.into_bytes()
}

fn report(id: &str, target: &Path) -> String {
    let payload = json!({
        "source": "s3://sales/2026.csv",
        "target": format!("file://{}", target.display()),
        "groupBy": "country",
        "value": "amount",
        "title": "Sales",
    });
    json!({ "type": "report.generate", "jobId": id, "payload": payload }).to_string()
}

async fn progress(worker: &Worker, id: &str) -> Option<u64> {
    let (_, text) = get(&worker.endpoint(&format!("/jobs/{id}"))).await?;
    let record: Value = serde_json::from_str(&text).ok()?;
    record["progress"]["done"].as_u64()
}

#[tokio::test]
async fn is_resumed_and_equals_an_unbroken_one() {
    let bytes = source();
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let queue = TestQueue::create("report", Setup { visibility_secs: 5, ..Setup::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let object = HeldObject::serve(bytes.clone()).await;
        let launch = || -> Launch {
            sharing(&queue, &store)
                .env("DRUMLINE_FILE_ROOT", &root.display().to_string())
                .env("AWS_ENDPOINT_URL_S3", &object.endpoint())
        };
        let done = async |target: &str| {
            let written = root.join(format!("{target}.csv"));
            eventually("the report is there", async || written.exists() && queue.is_empty().await).await;
        };

        let worker = launch().spawn();
        let id = unique("report");
        queue.send(&report(&id, &root.join("broken"))).await;
        // Progress and the checkpoint are written once a second. At the fourth report of progress beyond a third, a checkpoint
        // from beyond a third has also been written.
        let mut told = RECORDS as u64 / 3;
        for sixteenths in 8..12 {
            object.let_arrive(bytes.len() * sixteenths / 16);
            let news = async || progress(&worker, &id).await.filter(|&done| done > told);
            eventually("it has got further", async || news().await.is_some()).await;
            told = news().await.unwrap();
        }
        worker.kill().await;
        assert!(!root.join("broken.csv").exists(), "it has not come to its end");

        object.let_arrive(bytes.len());
        let worker = launch().spawn();
        done("broken").await;
        let resumed = worker.logged("the report resumes where it was interrupted");
        assert_eq!(resumed.len(), 1, "{resumed:?}");
        let records = resumed[0]["records"].as_u64().unwrap();
        assert!(records > RECORDS as u64 / 3, "from record {records} on, of {RECORDS}");
        queue.send(&report(&unique("report"), &root.join("whole"))).await;
        done("whole").await;
        for suffix in ["csv", "html"] {
            let read = |name: &str| std::fs::read(root.join(format!("{name}.{suffix}"))).unwrap();
            assert!(read("broken") == read("whole"), "the {suffix} files differ");
        }
        worker.stop().await;
    }
}
