//! Behaviour that only the file store has.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{ClaimResult, Ownership};
use drumline::message::Identity;
use drumline_store::{Location, OpenError, Retention, Store, TokenRequest, assert_claim_result};

use crate::world::{LONG, SCOPE, TYPE, World, granted, json, request_of, text};

/// The variable that names the file for a process that is killed.
const FILE: &str = "DRUMLINE_TEST_FILE";

/// The minimum number of jobs that are done before the kill.
const JOBS: usize = 50;

async fn open(path: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let location = Location::File(path.to_path_buf());
    drumline_store::open(&location, "one".into(), Retention::default()).await
}

async fn problem(path: &Path) -> String {
    match open(path).await {
        Ok(_) => panic!("{} can be opened", path.display()),
        Err(error) => error.to_string(),
    }
}

fn database(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

fn identity(index: usize) -> Identity {
    Identity::new(SCOPE, TYPE, None, format!("job {index}"))
}

/// Runs in the process that is killed, and reports each finished job.
#[tokio::test]
#[ignore = "is started by the test of a kill"]
async fn works_until_it_is_killed() {
    let store = open(&PathBuf::from(drumline_store::variable(FILE).unwrap())).await.unwrap();
    for index in 0.. {
        let claim = granted(&store, &request_of(identity(index))).await.claim;
        let result = index.to_string();
        assert_eq!(store.finish(&claim, Some(&json(&result))).await, Ok(Ownership::Kept));
        writeln!(std::io::stdout(), "\nfinished {index}").unwrap();
    }
}

fn worker(folder: &Path, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "file_only::works_until_it_is_killed", "--nocapture"])
        .current_dir(folder)
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub async fn a_kill_loses_nothing_that_was_answered(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let mut worker = worker(folder.path(), &path);
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut finished = 0;
    for line in lines.map_while(Result::ok) {
        if let Some(index) = line.strip_prefix("finished ") {
            finished = index.parse::<usize>().unwrap() + 1;
        }
        if finished == JOBS {
            // In the middle of the next job; the lines written so far are read to their end.
            worker.kill().unwrap();
        }
    }
    worker.wait().unwrap();
    assert!(finished >= JOBS, "{finished}");
    let store = open(&path).await.unwrap();
    for index in 0..finished {
        let admission = store.claim(&request_of(identity(index))).await.unwrap();
        let result = index.to_string();
        assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some(&result));
    }
    let whole: String = database(&path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

pub async fn a_new_file_is_its_owners_alone(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b%?.db");
    let location = Location::File(path.clone());
    assert_eq!(location.to_string().parse::<Location>(), Ok(location.clone()));
    drumline_store::reach(&location).await.unwrap();
    assert!(!path.exists(), "a look makes no file");
    open(&path).await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drumline_store::reach(&location).await.unwrap();
}

pub async fn a_file_that_cannot_be_opened_is_named_with_what_to_do(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let missing = problem(&at("none/jobs.db")).await;
    assert!(missing.contains("none/jobs.db: the folder") && missing.contains("create it"), "{missing}");
    let is_folder = problem(folder.path()).await;
    assert!(is_folder.contains("is a folder: name a file in it"), "{is_folder}");

    std::fs::write(at("text"), "not a database, but a text of some length\n".repeat(100)).unwrap();
    let text = problem(&at("text")).await;
    assert!(text.contains("text: ") && text.contains("another kind of file"), "{text}");

    open(&at("newer")).await.unwrap();
    database(&at("newer")).pragma_update(None, "user_version", 7).unwrap();
    for newer in [
        problem(&at("newer")).await,
        drumline_store::reach(&Location::File(at("newer"))).await.unwrap_err().to_string(),
    ] {
        assert!(newer.contains("version 7, made by a newer drumline"), "{newer}");
    }
}

pub async fn a_file_that_stays_locked_fails_calls_until_it_is_free(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await.unwrap();
    let other = database(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (claimed, pinged) = (store.claim(&request_of(identity(1))).await, store.ping().await);
    let error = claimed.unwrap_err().to_string();
    assert!(error.contains("jobs.db: ") && error.contains("another process has had it locked"), "{error}");
    assert!(pinged.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    granted(&store, &request_of(identity(1))).await;
}

async fn lease_one(store: &Arc<dyn Store>) {
    let (bucket, one) = ("mail".to_owned(), NonZeroU32::MIN);
    let request = TokenRequest { bucket, rate: "1000/s".parse().unwrap(), burst: one, most: one };
    assert_eq!(store.lease_tokens(&request).await.map(|leased| leased.tokens), Ok(1));
    tokio::time::sleep(Duration::from_millis(2)).await;
}

pub async fn expired_rows_are_removed(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await.unwrap();
    let request = request_of(identity(1));
    assert_eq!(store.attempted(&request.identity, &crate::world::attempt(1)).await, Ok(()));
    granted(&store, &request).await;
    assert_eq!(store.put_document("actions", "first", None, "1", LONG).await, Ok(true));
    lease_one(&store).await;
    drop(store);
    let tables = database(&path);
    let all = ["claims", "attempts", "documents", "tokens"];
    for table in all {
        assert_eq!(tables.execute(&format!("UPDATE {table} SET expires = 1"), []), Ok(1));
    }
    let store = open(&path).await.unwrap();
    assert_eq!(store.jobs(request.identity.job_id()).await, Ok(Vec::new()));
    let left = |table: &str| -> i64 {
        tables.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(all.map(left), [0; 4], "an opened file is tidied");
}

pub async fn a_file_that_was_made_before_documents_gets_their_table(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let request = request_of(identity(1));
    granted(&open(&path).await.unwrap(), &request).await;
    database(&path).execute_batch("DROP TABLE documents; DROP TABLE tokens").unwrap();
    for before in [None, Some("1")] {
        let store = open(&path).await.unwrap();
        lease_one(&store).await;
        let written = store.put_document("actions", "first", before, "1", LONG).await;
        assert_eq!(written, Ok(true), "{before:?}");
        assert_claim_result!(store.claim(&request).await.unwrap(), ClaimResult::Busy(_));
    }
    let version: i64 = database(&path).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1, "workers of older versions open the file still");
}

pub async fn a_record_of_a_newer_version_is_not_overwritten_or_run(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await.unwrap();
    let request = request_of(identity(1));
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let tables = database(&path);
    let newer = "UPDATE claims SET record = json_set(record, '$.state', 'paused')";
    assert_eq!(tables.execute(newer, []), Ok(1));
    for error in [store.claim(&request).await.unwrap_err(), store.jobs("job 1").await.unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("jobs.db: ") && error.contains("cannot read its record"), "{error}");
        assert!(error.ends_with("update this worker"), "{error}");
    }
    let state: String =
        tables.query_row("SELECT json_extract(record, '$.state') FROM claims", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "paused");
}

/// SQLite would interpret such a name as a database in memory, or as another file.
pub async fn a_name_that_means_something_to_sqlite_is_a_file(_: World) {
    for name in [":memory:", "file:jobs.db"] {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = worker(folder.path(), Path::new(name));
        let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "finished 0"), "{name}");
        worker.kill().unwrap();
        worker.wait().unwrap();
        let path = folder.path().join(name);
        let claims: i64 =
            database(&path).query_row("SELECT count(*) FROM claims", [], |row| row.get(0)).unwrap();
        assert!(claims > 0, "{name}");
    }
}
