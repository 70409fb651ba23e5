//! The database file: how it is opened, and what its errors mean.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::open::OpenError;
use crate::store::{StoreError, StoreErrorText};

/// How long a call waits for another process's write: longer than any of them takes, and shorter than a call may take.
const BUSY: Duration = Duration::from_secs(2);

/// The version of the tables, kept as `user_version`.
const VERSION: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// Opens the file, makes it where it is missing, and makes its tables.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    create(path)?;
    let failed = |error: &rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::Unavailable(failure(path, error))
        }
        _ => OpenError::Url(failure(path, error).into_text()),
    };
    let mut connection = Connection::open(path).map_err(|error| failed(&error))?;
    let version = prepare(&mut connection).map_err(|error| failed(&error))?;
    if version > VERSION {
        return Err(OpenError::Url(format!(
            "{}: its tables are of version {version}, made by a newer drumline, and this one reads version {VERSION}: use \
             that version, or another file",
            path.display()
        )));
    }
    Ok(connection)
}

/// Returns the version of the tables.
fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY)?;
    // Of a new file, so that what was removed gives its space back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A mark that was answered survives a power failure, too.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.commit()?;
        return Ok(VERSION);
    }
    Ok(version)
}

/// Makes the file for its owner alone: results and failure reasons are in it.
fn create(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    if !folder.is_dir() {
        let text = format!("{}: the folder {} does not exist: create it", path.display(), folder.display());
        return Err(OpenError::Url(text));
    }
    if fs::metadata(path).is_ok_and(|file| file.is_dir()) {
        return Err(OpenError::Url(format!("{} is a folder: name a file in it", path.display())));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| {
        let fix = "the worker must be able to read and write it, and to create files in its folder";
        OpenError::Url(format!("{}: {error}: {fix}", path.display()))
    })
}

/// What an error means for the call that it ended.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    let meaning = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has had it locked for more than 2 s: look for one that holds it open, such as a SQLite shell"
        }
        Some(ErrorCode::DiskFull) => "its disk is full: free some space",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "the worker must be able to write it, and to create files in its folder"
        }
        Some(ErrorCode::NotADatabase) => "it is another kind of file: name another path, or remove it",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged: move it away, and a new one is made",
        Some(ErrorCode::TooBig) => {
            let text = format!("{}: {error}", path.display());
            return StoreError::Refused(StoreErrorText::from(text));
        }
        _ => "SQLite cannot use it",
    };
    StoreError::Unanswered(StoreErrorText::from(format!("{}: {error}: {meaning}", path.display())))
}
