#![allow(clippy::unwrap_used)]
use drumline_dlq::action::ActionKind;
use drumline_store::{MemoryStore, Retention};

use super::*;
use crate::dlq::action_files::ActionFiles;

const DLQ: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

fn shared() -> ActionStore {
    ActionStore::Shared(Arc::new(MemoryStore::new("test".into(), Retention::default())))
}

fn beginning(name: &str) -> Beginning {
    Beginning {
        kind: ActionKind::Replay,
        name: name.to_owned(),
        actor: "ada@laptop".to_owned(),
        dlq: DLQ.to_owned(),
        words: vec!["--type".to_owned(), "email.send".to_owned()],
        bounds: Vec::new(),
        host: None,
        journal: None,
        export: None,
    }
}

async fn begin(store: &ActionStore, name: &str, locking: Locking) -> Result<ActionLog, String> {
    ActionLog::begin(store.clone(), beginning(name), locking).await.map_err(|error| error.to_string())
}

async fn recorded(store: &ActionStore, name: &str) -> ActionRecord {
    store.action(name).await.unwrap().unwrap().value
}

fn counts(sent: u64) -> Counts {
    Counts::from([("sent".to_owned(), sent)])
}

#[tokio::test(start_paused = true)]
async fn a_second_operator_is_refused_with_the_name_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    for store in [shared(), ActionStore::Files(ActionFiles::new(folder.path().to_owned()))] {
        let first = begin(&store, "first", Locking::Exclusive).await.unwrap();
        let refused = begin(&store, "second", Locking::Exclusive).await.err().unwrap();
        assert!(refused.contains("the replay first of ada@laptop has this DLQ since"), "{refused}");
        assert!(
            store.action("second").await.unwrap().is_none(),
            "an action that did not begin has no record"
        );
        // An action that only reads is allowed.
        begin(&store, "export", Locking::Shared).await.unwrap().end(ActionState::Done, None).await;
        first.end(ActionState::Done, None).await;
        begin(&store, "second", Locking::Exclusive).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_of_the_same_name_leaves_the_lock_of_the_first() {
    let store = shared();
    // It began a moment ago, so that the two actions do not begin in the same millisecond.
    let first = ActionRecord::begun(beginning("INC-42"), now_ms() - 5);
    assert!(store.put_lock(DLQ, None, &first.lock(now_ms())).await.unwrap());
    assert!(store.put_action(None, &first).await.unwrap());
    for name in ["INC-42", "INC-42-b", "INC-42"] {
        let refused = begin(&store, name, Locking::Exclusive).await.err().unwrap();
        assert!(refused.contains("the replay INC-42 of ada@laptop has this DLQ"), "{refused}");
    }
    // An action that needs no lock does not release it either.
    let taken = begin(&store, "INC-42", Locking::Shared).await.err().unwrap();
    assert!(taken.contains("INC-42 is taken"), "{taken}");
    let lock = store.lock(DLQ).await.unwrap().unwrap().value;
    assert!(lock.has_holder_of(&first.lock(now_ms())) && lock.until > now_ms());
}

#[tokio::test(start_paused = true)]
async fn an_action_is_shown_with_its_counts_and_its_end() {
    let store = shared();
    let log = begin(&store, "INC-42", Locking::Exclusive).await.unwrap();
    log.report(counts(7));
    tokio::time::sleep(EVERY * 2).await;
    assert_eq!(recorded(&store, "INC-42").await.counts, counts(7));
    log.report(counts(9));
    log.end(ActionState::Stopped, Some("10 letters returned")).await;
    let ended = recorded(&store, "INC-42").await;
    assert_eq!((ended.state, ended.why.as_deref()), (ActionState::Stopped, Some("10 letters returned")));
    assert_eq!(ended.counts, counts(9));
    let taken = begin(&store, "INC-42", Locking::Exclusive).await.err().unwrap();
    assert!(
        taken.contains("INC-42 is taken by a replay of ada@laptop") && taken.contains("stopped"),
        "{taken}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_seen_within_five_seconds() {
    let store = shared();
    let log = begin(&store, "INC-42", Locking::Exclusive).await.unwrap();
    assert_eq!(log.stop_asked(), None);
    let before = store.action("INC-42").await.unwrap().unwrap();
    let asked = before.value.abort_asked("bob", now_ms()).unwrap();
    assert!(store.put_action(Some(&before), &asked).await.unwrap());
    let stopped = tokio::time::timeout(Duration::from_secs(5), log.until_stopped()).await;
    assert_eq!(stopped.as_deref(), Ok("aborted by bob"));
    assert_eq!(log.stop_asked().as_deref(), Some("aborted by bob"));
    log.end(ActionState::Aborted, Some("aborted by bob")).await;
    assert_eq!(recorded(&store, "INC-42").await.state, ActionState::Aborted);
}

#[tokio::test(start_paused = true)]
async fn an_action_resumes_where_it_was_until_it_is_done() {
    let store = shared();
    let log = begin(&store, "INC-42", Locking::Exclusive).await.unwrap();
    log.report(counts(7));
    log.end(ActionState::Interrupted, None).await;
    let resume = async || {
        let resumed = ActionLog::resume(store.clone(), beginning("INC-42"), Locking::Exclusive).await;
        resumed.map_err(|error| error.to_string())
    };
    let log = resume().await.unwrap();
    assert_eq!(recorded(&store, "INC-42").await.counts, counts(7));
    let running = resume().await.err().unwrap();
    assert!(running.contains("INC-42 of ada@laptop runs"), "{running}");
    log.end(ActionState::Done, None).await;
    assert_eq!(resume().await.err().unwrap(), "the replay INC-42 is done");
    // Its record is kept for only 90 days, and its journal may be older.
    let unknown = ActionLog::resume(store.clone(), beginning("old"), Locking::Exclusive).await;
    assert_eq!(unknown.unwrap().action().name, "old");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_lost_its_dlq_is_asked_to_stop() {
    let store = shared();
    let log = begin(&store, "slept", Locking::Exclusive).await.unwrap();
    let lock = store.lock(DLQ).await.unwrap().unwrap();
    let other = ActionRecord::begun(beginning("other"), now_ms()).lock(now_ms());
    assert!(store.put_lock(DLQ, Some(&lock), &other).await.unwrap());
    let stopped = log.until_stopped().await;
    assert!(stopped.contains("the replay other of ada@laptop has this DLQ"), "{stopped}");
    log.end(ActionState::Stopped, Some(&stopped)).await;
    assert_eq!(store.lock(DLQ).await.unwrap().unwrap().value, other, "the other one's lock stays");
}
