#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::Settings;
use crate::testing::{self, TestHost};
use drumline::Router;
use drumline::core::{Ending, RunControl};

/// A folder with a source in it, and a generator that reads in pieces of a size.
struct Desk {
    folder: tempfile::TempDir,
    router: Router,
}

impl Desk {
    fn new(source: impl AsRef<[u8]>, piece_bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::new(&Settings::with_files_in(folder.path())));
        let router = Router::new().handle(ReportGenerator {
            storage,
            formulas: crate::settings::Formulas::Escape,
            piece_bytes,
        });
        fs::write(folder.path().join("source.csv"), source).unwrap();
        Self { folder, router }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn payload(&self) -> Value {
        let url = |name: &str| format!("file://{}", self.path(name).display());
        json!({ "source": url("source.csv"), "target": url("out/report"), "groupBy": "country", "value": "amount" })
    }

    async fn attempt(&self, host: &Arc<TestHost>, control: RunControl) -> Ending {
        testing::run_under(&self.router, "report.generate", self.payload(), Arc::clone(host), control).await
    }

    async fn run(&self) -> Ending {
        self.attempt(&Arc::default(), RunControl::new()).await
    }

    fn outputs(&self) -> Option<(String, String)> {
        let read = |name: &str| fs::read_to_string(self.path(name)).ok();
        Some((read("out/report.csv")?, read("out/report.html")?))
    }
}

const SMALL: &str = "\u{feff}country,amount,note\r\nNO,1.50,\r\nSE,2,\"two\r\nlines\"\r\nNO,-0.25,\"a,b\"";

#[tokio::test]
async fn a_report_is_made_and_its_result_kept() {
    let desk = Desk::new(SMALL, PIECE_BYTES);
    let host = Arc::<TestHost>::default();
    assert_eq!(desk.attempt(&host, RunControl::new()).await, Ending::Done);
    let (csv, html) = desk.outputs().unwrap();
    let expected = "country,count,sum,min,max,mean\n\
                    NO,2,1.25,-0.25,1.50,0.6250\n\
                    SE,1,2.00,2.00,2.00,2.0000\n";
    assert_eq!(csv, expected);
    assert!(html.contains("<h1>amount by country</h1>") && html.contains("3 records in 2 groups"), "{html}");
    let url = desk.payload()["target"].as_str().unwrap().to_owned();
    let result = json!({ "csv": url.clone() + ".csv", "html": url + ".html", "records": 3, "groups": 2, "sum": "3.25" });
    assert_eq!(host.result(), result);
    assert_eq!(host.progress.lock().unwrap().last(), Some(&(3, 3)));
}

/// Records of about twenty bytes.
fn records(count: usize) -> String {
    let mut text = "id,country,amount\n".to_owned();
    for id in 0..count {
        let end = if id % 3 == 0 { "\r\n" } else { "\n" };
        write!(text, "{id},\"country\n{}\",{}.{:02}{end}", id % 7, id * 31 % 1000, id % 100).unwrap();
    }
    text
}

#[tokio::test]
async fn wherever_it_is_interrupted_the_outcome_is_the_same() {
    let source = records(60);
    let whole = Desk::new(&source, PIECE_BYTES);
    assert_eq!(whole.run().await, Ending::Done);
    let expected = whole.outputs().unwrap();

    for stop in 1..60 {
        // Pieces that hold a record at most, so that it can be stopped behind any.
        let desk = Desk::new(&source, 8);
        let control = RunControl::new();
        let first = Arc::new(TestHost { cancel_at: Some((stop, control.clone())), ..TestHost::default() });
        let ending = desk.attempt(&first, control).await;
        assert!(
            matches!(&ending, Ending::RetryAsked { reason, .. } if reason.contains("Shutdown")),
            "{ending:?}"
        );
        assert!(desk.outputs().is_none());

        let second = Arc::<TestHost>::default();
        *second.checkpoint.lock().unwrap() = first.checkpoint.lock().unwrap().take();
        assert_eq!(desk.attempt(&second, RunControl::new()).await, Ending::Done);
        assert_eq!(desk.outputs().unwrap(), expected, "stopped at {stop}");
        // It has not begun anew.
        assert!(second.progress.lock().unwrap()[0].0 >= stop);
    }
}

#[tokio::test]
async fn what_has_been_read_is_not_read_again_to_be_written() {
    let desk = Desk::new(records(100), 64);
    fs::create_dir_all(desk.path("out/report.csv")).unwrap();
    let host = Arc::<TestHost>::default();
    let ending = desk.attempt(&host, RunControl::new()).await;
    assert!(!matches!(ending, Ending::Done), "{ending:?}");
    fs::remove_dir(desk.path("out/report.csv")).unwrap();
    host.progress.lock().unwrap().clear();
    assert_eq!(desk.attempt(&host, RunControl::new()).await, Ending::Done);
    assert!(host.progress.lock().unwrap().iter().all(|&progress| progress == (100, 100)));
    assert_eq!(host.result()["records"], 100);
}

#[tokio::test]
async fn a_changed_source_begins_anew() {
    let desk = Desk::new(records(60), 8);
    let control = RunControl::new();
    let host = Arc::new(TestHost { cancel_at: Some((30, control.clone())), ..TestHost::default() });
    let ending = desk.attempt(&host, control).await;
    assert!(matches!(ending, Ending::RetryAsked { .. }), "{ending:?}");
    fs::write(desk.path("source.csv"), "country,amount\nNO,1\n").unwrap();
    let again = Arc::<TestHost>::default();
    *again.checkpoint.lock().unwrap() = host.checkpoint.lock().unwrap().take();
    assert_eq!(desk.attempt(&again, RunControl::new()).await, Ending::Done);
    assert_eq!(desk.outputs().unwrap().0, "country,count,sum,min,max,mean\nNO,1,1,1,1,1.00\n");
}

#[tokio::test]
async fn a_checkpoint_of_another_version_of_the_code_begins_anew() {
    for kept in [json!(7), json!({ "offset": 3 }), Value::Null] {
        let desk = Desk::new(SMALL, PIECE_BYTES);
        let host = Arc::<TestHost>::default();
        *host.checkpoint.lock().unwrap() = Some(serde_json::value::to_raw_value(&kept).unwrap());
        assert_eq!(desk.attempt(&host, RunControl::new()).await, Ending::Done);
        assert_eq!(host.result()["records"], 3, "{kept}");
    }
}

#[tokio::test]
async fn what_cannot_succeed_is_rejected_and_leaves_nothing() {
    for (source, part) in [
        ("", "is empty"),
        ("land,amount\nNO,1\n", "no column \"country\""),
        ("country,amount\nNO,1\nSE,none\n", "record 2 (line 3): \"none\""),
    ] {
        let desk = Desk::new(source, PIECE_BYTES);
        let ending = desk.run().await;
        assert!(matches!(&ending, Ending::Rejected { reason } if reason.contains(part)), "{ending:?}");
        assert!(!desk.path("out").exists());
    }
    let desk = Desk::new("", PIECE_BYTES);
    fs::remove_file(desk.path("source.csv")).unwrap();
    let ending = desk.run().await;
    assert!(matches!(&ending, Ending::Rejected { reason } if reason.contains("source.csv")), "{ending:?}");
}

/// A few megabytes stand for as many as there may be: what is held does not depend on them.
#[tokio::test]
async fn a_large_source_is_streamed() {
    let count = 200_000;
    let desk = Desk::new(records(count), PIECE_BYTES);
    let host = Arc::<TestHost>::default();
    assert_eq!(desk.attempt(&host, RunControl::new()).await, Ending::Done);
    assert_eq!(host.result()["records"], count);
    let progress = host.progress.lock().unwrap();
    assert!(progress.len() > 5, "{progress:?}");
    let count = count as u64;
    for (done, total) in &*progress {
        // The estimate is not far off, since the records are alike.
        assert!(done <= total && total.abs_diff(count) < count / 10, "{done} of {total}");
    }
    assert!(progress.is_sorted_by_key(|(done, _)| *done));
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_is_tried_again() {
    let desk = Desk::new(records(50), PIECE_BYTES);
    let storage = Storage::new(&Settings::with_files_in(desk.folder.path()));
    let source = serde_json::from_value(desk.payload()["source"].clone()).unwrap();
    let path = desk.path("source.csv");
    let reading = move |ctx: Context| async move {
        let mut stream = storage.open(&ctx, &source).await?;
        assert_eq!(stream.next(&ctx, 10).await?.unwrap().len(), 10);
        fs::write(&path, records(51)).unwrap();
        stream.next(&ctx, 10).await.map(|_| ())
    };
    let ending = testing::within(reading).await;
    assert!(
        matches!(&ending, Ending::RetryAsked { reason, .. } if reason.contains("was changed while it was read")),
        "{ending:?}"
    );
}
