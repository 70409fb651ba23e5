//! The database file: opens it, and interprets its errors.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::open::OpenError;
use crate::rules::Unreadable;
use crate::store::{StoreError, StoreErrorText};

/// The time that a call waits for another process's write: longer than any write takes, and shorter than the limit of a call.
const BUSY: Duration = Duration::from_secs(2);

/// The time between two attempts to get a lock of another process.
const LOOK: Duration = Duration::from_millis(1);

/// The version of the tables, kept as `user_version`.
const VERSION: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// The tables that were added without a new version.
const ADDED: &str = concat!(include_str!("documents.sql"), include_str!("tokens.sql"));

/// Opens the file and its tables, and creates them if they are missing.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let path = &absolute(path)?;
    let folder = folder(path)?;
    refuse_network(path, folder)?;
    access(path, true)?;
    let mut connection = connect(path)?;
    let version = prepare(&mut connection).map_err(|error| unopened(path, &error))?;
    refuse_newer(path, version)?;
    Ok(connection)
}

/// Checks that the file can be opened and written, or created if it is missing, without changing anything.
pub(super) fn check(path: &Path) -> Result<(), OpenError> {
    let path = &absolute(path)?;
    let folder = folder(path)?;
    refuse_network(path, folder)?;
    makes_files(folder).map_err(|error| unusable(path, error))?;
    if !path.exists() {
        return Ok(());
    }
    access(path, false)?;
    let connection = connect(path)?;
    let version = connection
        .busy_timeout(BUSY)
        .and_then(|()| connection.pragma_query_value(None, "user_version", |row| row.get(0)))
        .map_err(|error| unopened(path, &error))?;
    refuse_newer(path, version)
}

/// Returns the absolute path: SQLite interprets some other names, such as `:memory:` and `file:jobs.db`, in a special way.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(|error| unusable(path, error))
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| unopened(path, &error))
}

fn unopened(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
            OpenError::Unavailable(failure(path, error))
        }
        _ => OpenError::Url(failure(path, error).into_text()),
    }
}

/// Waits between attempts to get another process's lock. SQLite's own handler soon tries only ten times a second, and so rarely
/// finds the moment in which a busy process releases the lock. The time is measured, because a busy machine sleeps longer than
/// requested.
fn wait_for_lock() -> impl FnMut(i32) -> bool + Send {
    let mut since = Instant::now();
    move |looked| {
        if looked == 0 {
            since = Instant::now();
        }
        std::thread::sleep(LOOK);
        since.elapsed() < BUSY
    }
}

/// Runs an operation that can be postponed. It fails at once while another process has the file locked, because calls wait
/// behind it.
pub(super) fn without_waiting<T>(
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.busy_timeout(Duration::ZERO)?;
    let value = work(connection);
    connection.busy_handler(Some(wait_for_lock()))?;
    value
}

/// Returns true if the error means that another process had the file locked.
pub(super) fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn refuse_newer(path: &Path, version: i64) -> Result<(), OpenError> {
    if version <= VERSION {
        return Ok(());
    }
    Err(OpenError::Url(format!(
        "{}: its tables are of version {version}, made by a newer drumline, and this one reads version {VERSION}: use that \
         version, or another file",
        path.display()
    )))
}

/// Returns the folder of the file.
fn folder(path: &Path) -> Result<&Path, OpenError> {
    let folder = path.parent().unwrap_or(path);
    if !folder.is_dir() {
        let text = format!("{}: the folder {} does not exist: create it", path.display(), folder.display());
        return Err(OpenError::Url(text));
    }
    if path.is_dir() {
        return Err(OpenError::Url(format!("{} is a folder: name a file in it", path.display())));
    }
    Ok(folder)
}

/// Refuses a folder on a network file system, as far as `/proc` lists the file systems: SQLite keeps its locks in memory beside
/// the file, which hosts do not share.
fn refuse_network(path: &Path, folder: &Path) -> Result<(), OpenError> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    match network_of(&mounts, &folder) {
        None => Ok(()),
        Some(kind) => Err(OpenError::Url(format!(
            "{}: its folder is on a network file system ({kind}), where SQLite's locks do not hold: use a local disk, or a store \
             that is a server (redis, postgres, dynamodb)",
            path.display()
        ))),
    }
}

/// The file systems that several hosts can mount at once. EFS is NFS.
const NETWORK: [&str; 10] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"];

/// Returns the kind of the folder's file system if it is a network file system. The mount with the longest path counts, and
/// among equal paths the last one.
fn network_of(mounts: &str, folder: &Path) -> Option<&'static str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        // Spaces are written as octal numbers.
        let at = PathBuf::from(fields.next()?.replace("\\040", " "));
        folder.starts_with(&at).then_some((at.as_os_str().len(), fields.next()?))
    });
    let (_, kind) = mounts.max_by_key(|(length, _)| *length)?;
    NETWORK.into_iter().find(|network| *network == kind)
}

/// Prepares the database and returns the version of the tables.
fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_handler(Some(wait_for_lock()))?;
    // Set for a new file, so that the space of removed rows can be freed.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    switch_to_wal(connection)?;
    // A mark survives a power failure after its call has returned.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    if version <= VERSION {
        transaction.execute_batch(ADDED)?;
        transaction.commit()?;
    }
    Ok(version.max(VERSION))
}

/// Switches to WAL mode. SQLite calls no busy handler for this, so if two processes create the file at once, one would fail.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_locked(&error) && begun.elapsed() < BUSY => std::thread::sleep(LOOK),
            switched => return switched,
        }
    }
}

/// Opens the file for reading and writing. A new file is readable only by its owner, because it contains results and failure
/// reasons.
fn access(path: &Path, create: bool) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| unusable(path, error))
}

/// Checks that files can be created in a folder, without creating one.
fn makes_files(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
    Ok(())
}

fn unusable(path: &Path, error: impl fmt::Display) -> OpenError {
    let fix = "the worker must be able to read and write it, and to create files in its folder";
    OpenError::Url(format!("{}: {error}: {fix}", path.display()))
}

/// Converts an error of SQLite to the error of the call.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    if let rusqlite::Error::FromSqlConversionFailure(_, _, cause) = error
        && let Some(unreadable) = cause.downcast_ref::<Unreadable>()
    {
        return StoreError::Unanswered(format!("{}: {unreadable}", path.display()).into());
    }
    let locked = format!(
        "another process has had it locked for more than {} s: look for one that holds it open, such as a SQLite shell",
        BUSY.as_secs()
    );
    let meaning = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => &locked,
        Some(ErrorCode::DiskFull) => "its disk is full: free some space",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "the worker must be able to write it, and to create files in its folder"
        }
        Some(ErrorCode::NotADatabase) => "it is another kind of file: name another path, or remove it",
        Some(ErrorCode::DatabaseCorrupt) => {
            "it is damaged: stop all processes that use it, move it away with its -wal and -shm files, and start again"
        }
        Some(ErrorCode::TooBig) => {
            let text = format!("{}: {error}", path.display());
            return StoreError::Refused(StoreErrorText::from(text));
        }
        _ => "SQLite cannot use it",
    };
    StoreError::Unanswered(StoreErrorText::from(format!("{}: {error}: {meaning}", path.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// SQLite waits for the lock of another process, but not for the switch of a new file to WAL mode.
    #[test]
    fn a_file_that_another_process_creates_is_opened_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE other (n); BEGIN IMMEDIATE").unwrap();
        let (opened, result) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| opened.send(open(&path).map(drop)));
            let early = result.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "{early:?}");
            other.execute_batch("COMMIT").unwrap();
            result.recv().unwrap().unwrap();
        });
    }

    /// Socket files cannot be opened, not even by root.
    #[test]
    fn a_check_fails_if_the_file_could_not_be_written_or_made() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let fix = "the worker must be able to read and write it, and to create files in its folder";
        for error in [check(&socket).unwrap_err(), open(&socket).err().unwrap()] {
            let error = error.to_string();
            assert!(error.contains("/socket: ") && error.contains(fix), "{error}");
        }
        assert!(makes_files(folder.path()).is_ok());
        assert!(makes_files(Path::new("/dev/null/jobs")).is_err());
    }

    #[test]
    fn a_network_file_system_is_recognised_by_the_longest_mount() {
        let mounts = "/dev/vda / ext4 rw 0 0\nfs-1:/ /mnt/efs nfs4 rw 0 0\n/dev/vdb /mnt/efs/local xfs rw 0 0\n\
            host:/a /mnt/with\\040space nfs rw 0 0\n";
        let table = [
            ("/var/lib", None),
            ("/mnt/efs/jobs", Some("nfs4")),
            ("/mnt/efs/local/jobs", None),
            ("/mnt/efsx", None),
            ("/mnt/with space", Some("nfs")),
        ];
        for (folder, expected) in table {
            assert_eq!(network_of(mounts, Path::new(folder)), expected, "{folder}");
        }
        assert_eq!(network_of("", Path::new("/a")), None);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let table = [
            (5, "another process has had it locked for more than 2 s"),
            (8, "must be able to write it"),
            (11, "it is damaged: stop all processes that use it, move it away with its -wal and -shm files"),
            (13, "its disk is full: free some space"),
            (14, "to create files in its folder"),
            (26, "another kind of file"),
        ];
        for (code, expected) in table {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            let text = failure(Path::new("a/jobs.db"), &error).to_string();
            assert!(text.contains("a/jobs.db: ") && text.contains(expected), "{text}");
        }
    }
}
