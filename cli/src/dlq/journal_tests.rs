#![allow(clippy::unwrap_used)]

use drumline_dlq::journal::{JOURNAL_VERSION, Record};

use super::*;

const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3_600);

fn header(hold: Duration) -> Header {
    Header {
        drumline_journal: JOURNAL_VERSION,
        kind: "replay".to_owned(),
        name: "a".to_owned(),
        actor: "ops".to_owned(),
        dlq_url: "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq".to_owned(),
        queue: None,
        words: Vec::new(),
        files: Vec::new(),
        from: None,
        started_at: 1,
        hold_secs: hold.as_secs(),
    }
}

/// Resumes with this hold in a process that is killed after its first commit. Returns the hold that it read.
async fn killed_resume(path: &Path, hold: Duration) -> u64 {
    let (mut journal, state) = Journal::open(path, hold).unwrap();
    journal.commit().await.unwrap();
    state.hold_secs()
}

#[tokio::test]
async fn a_resume_waits_for_the_longest_hold_of_killed_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.journal");
    Journal::create(&path, header(SHORT)).unwrap().commit().await.unwrap();
    assert_eq!(killed_resume(&path, LONG).await, 10);
    assert_eq!(killed_resume(&path, SHORT).await, 3_600);
    let (mut journal, state) = Journal::open(&path, SHORT).unwrap();
    assert_eq!((state.hold_secs(), state.is_over()), (3_600, false));
    journal.log.add(&Record::Stopped { at: 2, why: "interrupted".to_owned() });
    journal.commit().await.unwrap();
    drop(journal);
    killed_resume(&path, SHORT).await;
    let (_, state) = Journal::open(&path, SHORT).unwrap();
    assert_eq!((state.hold_secs(), state.is_over()), (10, false), "it was killed before its first plan");
}

#[tokio::test]
async fn a_journal_without_a_torn_line_keeps_its_time_of_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.journal");
    Journal::create(&path, header(SHORT)).unwrap().commit().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let long_ago = std::time::UNIX_EPOCH + LONG;
    let set_modified = || File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let modified = || path.metadata().unwrap().modified().unwrap();
    set_modified();
    drop(Journal::open(&path, SHORT).unwrap());
    assert_eq!(modified(), long_ago);
    std::fs::write(&path, [&whole[..], b"{\"record\":\"pl"].concat()).unwrap();
    set_modified();
    drop(Journal::open(&path, SHORT).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), whole, "a torn line is cut off");
    assert_ne!(modified(), long_ago);
}

#[test]
fn journals_that_differ_in_extension_keep_separate_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let held = |name: &str| Journal::create(&folder.path().join(name), header(SHORT)).unwrap().held_path();
    assert_ne!(held("replay.jobs"), held("replay.mail"));
    assert_eq!(held("INC-42.journal"), folder.path().join("INC-42.journal.held"));
}
