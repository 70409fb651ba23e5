#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use drumline_store::{Change, RecordStore, Records, Retention};

use super::*;

/// An empty table that counts the questions.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Records for Counted {
    async fn read(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(vec![None; keys.len()])
    }

    async fn swap(&self, _: &[Change]) -> Result<bool, StoreError> {
        unreachable!("nothing is written")
    }
}

fn watches(max_jobs: usize) -> (Watches, Counted) {
    let records = Counted::default();
    let store = RecordStore::new(records.clone(), Arc::from("app"), Retention::default());
    (Watches::new(Arc::new(store), max_jobs), records)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_read_twice_a_second_for_all_its_viewers_together() {
    let (watches, records) = watches(1);
    let viewers: Vec<Looks> = (0..50).map(|_| watches.watch("j-1").unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert_eq!(records.0.load(Ordering::Relaxed), 20);

    drop(viewers);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(records.0.load(Ordering::Relaxed), 20, "without viewers it is not read");
}

#[tokio::test(start_paused = true)]
async fn jobs_are_bounded_and_a_place_is_free_after_the_last_viewer() {
    let (watches, _) = watches(1);
    let first = watches.watch("j-1").unwrap();
    let second = watches.watch("j-1").unwrap();
    assert!(watches.watch("j-2").is_none());
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(watches.watch("j-2").is_none());
    drop(second);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(watches.watch("j-2").is_some());
}

#[test]
fn records_stay_while_the_store_does_not_answer() {
    let silence = || Err(StoreError::Unanswered("no route to host".into()));
    let known =
        |id: &str| -> Look { Ok(vec![JobRecord { job_id: id.to_owned(), ..JobRecord::default() }].into()) };
    let mut last = None;
    let steps =
        [(silence(), true), (known("a"), true), (silence(), false), (known("a"), false), (known("b"), true)];
    for (look, is_new) in steps {
        assert_eq!(renew(&mut last, look.clone()), is_new, "{look:?}");
    }
    assert_eq!(last.unwrap().unwrap()[0].job_id, "b");
}
