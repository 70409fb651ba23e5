#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::Settings;
use crate::testing::{self, At, TestMessage, TestRun, Tester, progress, result};
use drumline::Router;
use drumline::core::Ending;

/// A folder with a source, and a generator that reads in pieces of a given size.
struct Desk {
    folder: tempfile::TempDir,
    tester: Tester,
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
        Self { folder, tester: testing::tester(router) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn payload(&self) -> Value {
        let url = |name: &str| format!("file://{}", self.path(name).display());
        json!({ "source": url("source.csv"), "target": url("out/report"), "groupBy": "country", "value": "amount" })
    }

    fn job(&self) -> TestMessage {
        self.tester.payload("report.generate", &self.payload())
    }

    async fn run(&self) -> TestRun {
        self.job().await
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
    let run = desk.run().await;
    assert!(run.is_done(), "{run}");
    let (csv, html) = desk.outputs().unwrap();
    let expected = "country,count,sum,min,max,mean\n\
                    NO,2,1.25,-0.25,1.50,0.6250\n\
                    SE,1,2.00,2.00,2.00,2.0000\n";
    assert_eq!(csv, expected);
    assert!(html.contains("<h1>amount by country</h1>") && html.contains("3 records in 2 groups"), "{html}");
    let url = desk.payload()["target"].as_str().unwrap().to_owned();
    let expected = json!({ "csv": url.clone() + ".csv", "html": url + ".html", "records": 3, "groups": 2, "sum": "3.25" });
    assert_eq!(result(&run), expected);
    assert_eq!(progress(&run).last(), Some(&(3, 3)));
}

/// Returns records of about twenty bytes.
fn records(count: usize) -> String {
    let mut text = "id,country,amount\n".to_owned();
    for id in 0..count {
        let end = if id % 3 == 0 { "\r\n" } else { "\n" };
        write!(text, "{id},\"country\n{}\",{}.{:02}{end}", id % 7, id * 31 % 1000, id % 100).unwrap();
    }
    text
}

#[tokio::test]
async fn an_interruption_at_any_place_does_not_change_the_outcome() {
    let source = records(60);
    let whole = Desk::new(&source, PIECE_BYTES);
    assert!(whole.run().await.is_done());
    let expected = whole.outputs().unwrap();

    for stop in 1..60 {
        // The pieces contain at most one record, so the job can be stopped after any record.
        let desk = Desk::new(&source, 8);
        let first = desk.job().shut_down(At::Progress(stop)).await;
        assert_eq!(first.ending(), &Ending::Interrupted, "{first}");
        assert!(first.handler_ending().reason().unwrap().contains("Shutdown"), "{first}");
        assert!(desk.outputs().is_none());

        let second = desk.run().await;
        assert!(second.is_done(), "{second}");
        assert_eq!(desk.outputs().unwrap(), expected, "stopped at {stop}");
        // It has not restarted.
        assert!(second.progress()[0].done >= stop);
    }
}

#[tokio::test]
async fn what_has_been_read_is_not_read_again_to_be_written() {
    let desk = Desk::new(records(100), 64);
    fs::create_dir_all(desk.path("out/report.csv")).unwrap();
    let run = desk.run().await;
    assert!(!run.is_done(), "{run}");
    fs::remove_dir(desk.path("out/report.csv")).unwrap();
    let run = desk.run().await;
    assert!(run.is_done(), "{run}");
    assert!(progress(&run).iter().all(|&progress| progress == (100, 100)));
    assert_eq!(result(&run)["records"], 100);
}

#[tokio::test]
async fn a_changed_source_begins_anew() {
    let desk = Desk::new(records(60), 8);
    let run = desk.job().shut_down(At::Progress(30)).await;
    assert_eq!(run.ending(), &Ending::Interrupted, "{run}");
    fs::write(desk.path("source.csv"), "country,amount\nNO,1\n").unwrap();
    let run = desk.run().await;
    assert!(run.is_done(), "{run}");
    assert_eq!(desk.outputs().unwrap().0, "country,count,sum,min,max,mean\nNO,1,1,1,1,1.00\n");
}

#[tokio::test]
async fn a_checkpoint_of_another_version_of_the_code_begins_anew() {
    for kept in [json!(7), json!({ "offset": 3 }), Value::Null] {
        let desk = Desk::new(SMALL, PIECE_BYTES);
        let run = desk.job().checkpoint(&kept).await;
        assert!(run.is_done(), "{run}");
        assert_eq!(result(&run)["records"], 3, "{kept}");
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
        let run = desk.run().await;
        assert!(run.is_dead() && run.reason().unwrap().contains(part), "{run}");
        assert!(!desk.path("out").exists());
    }
    let desk = Desk::new("", PIECE_BYTES);
    fs::remove_file(desk.path("source.csv")).unwrap();
    let run = desk.run().await;
    assert!(run.is_dead() && run.reason().unwrap().contains("source.csv"), "{run}");
}

/// A few megabytes represent a source of any size: the memory used does not depend on it.
#[tokio::test]
async fn a_large_source_is_streamed() {
    let count = 200_000;
    let desk = Desk::new(records(count), PIECE_BYTES);
    let run = desk.run().await;
    assert!(run.is_done(), "{run}");
    assert_eq!(result(&run)["records"], count);
    let progress = progress(&run);
    assert!(progress.len() > 5, "{progress:?}");
    let count = count as u64;
    for (done, total) in &progress {
        // The estimate is close, because the records are similar.
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
    let run = testing::with_context(reading).await;
    assert!(matches!(run.ending(), Ending::RetryAsked { .. }), "{run}");
    assert!(run.reason().unwrap().contains("was changed while it was read"), "{run}");
}
