//! The journal of a send from a file: records which records SQS has confirmed.
//!
//! Each batch is a line, which is on disk before the next batch is sent. Therefore at most one batch is in doubt when the
//! process ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use drumline_consumer::ExitError;
use drumline_dlq::journal::{FileHasher, FileMark, deduplication_id};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::confirmed::{Confirmed, ranges};
use crate::file_lock::FileLock;
use crate::format::{count, rfc3339, verb};
use crate::state_folder::{create_folder, state_folder, sync_folder};

/// The version of the format.
const VERSION: u32 = 1;

/// The beginning of every journal.
const BEGINNING: &[u8] = b"{\"drumlineSend\":";

/// The first line: identifies the send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) drumline_send: u32,
    /// The id of the send, from which the ids of its jobs are derived.
    pub(super) send: String,
    /// The URL of the queue.
    pub(super) queue: String,
    pub(super) file: FileMark,
    /// The options that determine what is sent.
    pub(super) options: Vec<String>,
}

/// A further line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    /// SQS has confirmed the records with these numbers, as ranges.
    Sent(Vec<(u64, u64)>),
    /// The file of the records that were refused or not accepted; `None` after a resumed send has removed it, because that send
    /// tries those records again.
    Rest(Option<PathBuf>),
    /// Nothing is left to send.
    Ended(bool),
}

/// The state of a journal.
#[derive(Debug, PartialEq, Eq)]
struct State {
    header: Header,
    confirmed: Confirmed,
    rest: Option<PathBuf>,
    is_ended: bool,
    /// The length of its complete lines.
    length: u64,
}

/// The journal of a running send.
pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    confirmed: Confirmed,
    /// The file of the records that were refused or not accepted, by this process or an earlier one.
    pub(super) rest: Option<PathBuf>,
    file: File,
    _lock: FileLock,
}

/// Determines if a send begins anew or continues an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Anew,
    Resume,
}

/// Returns the path of the journal for a file and a queue. The path is always the same, so that the same command finds it
/// again.
///
/// # Errors
///
/// Returns an error if its folder is not known.
pub(super) fn path_of(input: &Path, queue: &str) -> Result<PathBuf, ExitError> {
    let absolute = std::fs::canonicalize(input).unwrap_or_else(|_| input.to_owned());
    let hash = deduplication_id(queue, &absolute.display().to_string());
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(is_plain).take(60).collect();
    Ok(state_folder("send")?.join(format!("{name}-{}.journal", &hash[..12])))
}

/// Reads a file, and returns its mark.
pub(super) fn mark(input: &Path) -> io::Result<FileMark> {
    let (mut reader, mut hasher) =
        (BufReader::with_capacity(1 << 16, File::open(input)?), FileHasher::default());
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Ok(hasher.mark(&input.display().to_string()));
        }
        hasher.add(part);
        let bytes = part.len();
        reader.consume(bytes);
    }
}

/// Returns the first line of a new journal.
pub(super) fn header(queue: &str, file: FileMark, options: Vec<String>) -> Header {
    let send = Ulid::generate().to_string();
    Header { drumline_send: VERSION, send, queue: queue.to_owned(), file, options }
}

impl Journal {
    /// Opens the journal at this path for a send with this header.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal belongs to another send, if an earlier send is not over and is not resumed, or if it
    /// cannot be written.
    pub(super) fn open(path: PathBuf, header: Header, begin: Begin) -> Result<Self, ExitError> {
        let unusable = |error: io::Error| ExitError::other(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder).map_err(unusable)?;
        }
        let mut options = File::options();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(unusable)?;
        let lock = FileLock::acquire(&file, &path)?;
        let known = read(BufReader::new(&file)).map_err(|why| {
            ExitError::usage(format!("{} is no journal of drumline send: {why}", path.display()))
        })?;
        let now = std::time::SystemTime::UNIX_EPOCH;
        let changed = file.metadata().and_then(|data| data.modified()).unwrap_or(now);
        let changed = changed.duration_since(now).map_or(0, crate::format::millis);
        let (header, confirmed, rest, length) = match (known, begin) {
            (Some(state), Begin::Resume) => {
                check_same(&state.header, &header, &path)?;
                if let Some(rest) = state.rest.as_ref().filter(|_| state.is_ended) {
                    return Err(is_over(rest, &path));
                }
                (state.header, state.confirmed, state.rest, state.length)
            }
            (None, Begin::Resume) => {
                drop(std::fs::remove_file(&path));
                return Err(ExitError::usage(format!(
                    "nothing was begun that could be resumed: {} was not there",
                    path.display()
                )));
            }
            (Some(state), Begin::Anew) if !state.is_ended && state.confirmed.count() > 0 => {
                return Err(unfinished(&state, &header, &path, changed));
            }
            (_, Begin::Anew) => (header, Confirmed::default(), None, 0),
        };
        // No process has acted on an incomplete line.
        file.set_len(length).map_err(unusable)?;
        let mut journal = Self { path, header, confirmed, rest, file, _lock: lock };
        if length == 0 {
            let line = serde_json::to_string(&journal.header).expect("a header is JSON");
            journal.write(&line)?;
            if let Some(folder) = journal.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                sync_folder(folder)?;
            }
        }
        Ok(journal)
    }

    /// Returns the id of the send.
    pub(super) fn send_id(&self) -> Result<Ulid, ExitError> {
        let id = self.header.send.parse();
        id.map_err(|_| ExitError::usage(format!("{}: its send has no ULID", self.path.display())))
    }

    /// Returns true if SQS has confirmed the record with this number.
    pub(super) fn has(&self, number: u64) -> bool {
        self.confirmed.contains(number)
    }

    /// Records that SQS has confirmed these records.
    pub(super) fn confirm(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<(), ExitError> {
        let ranges = ranges(numbers);
        if ranges.is_empty() {
            return Ok(());
        }
        for (first, last) in &ranges {
            self.confirmed.add(*first..=*last);
        }
        self.write_line(&Line::Sent(ranges))
    }

    /// Records the file of refused or failed records before the first record is written to it.
    pub(super) fn set_rest(&mut self, rest: Option<PathBuf>) -> Result<(), ExitError> {
        self.rest.clone_from(&rest);
        self.write_line(&Line::Rest(rest))
    }

    /// Records that nothing is left to send.
    pub(super) fn end(&mut self) -> Result<(), ExitError> {
        self.write_line(&Line::Ended(true))
    }

    fn write_line(&mut self, line: &Line) -> Result<(), ExitError> {
        self.write(&serde_json::to_string(line).expect("a line is JSON"))
    }

    fn write(&mut self, line: &str) -> Result<(), ExitError> {
        let written =
            self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written
            .map_err(|error| ExitError::other(format!("{} cannot be written: {error}", self.path.display())))
    }
}

/// Reads a journal; `None` if even its first line is missing.
fn read(mut journal: impl BufRead) -> Result<Option<State>, String> {
    let (mut line, mut state) = (Vec::new(), None::<State>);
    for number in 1.. {
        line.clear();
        journal.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if line.last() != Some(&b'\n') {
            if state.is_none() && !line.starts_with(BEGINNING) && !BEGINNING.starts_with(&line) {
                return Err("it does not begin as one".to_owned());
            }
            break;
        }
        let unreadable = |error: serde_json::Error| format!("line {number}: {error}");
        let length = line.len() as u64;
        match &mut state {
            None => {
                let header: Header = serde_json::from_slice(&line).map_err(unreadable)?;
                if header.drumline_send != VERSION {
                    return Err(format!("its format has the version {}", header.drumline_send));
                }
                let confirmed = Confirmed::default();
                state = Some(State { header, confirmed, rest: None, is_ended: false, length });
            }
            Some(state) => {
                match serde_json::from_slice(&line).map_err(unreadable)? {
                    Line::Sent(ranges) => {
                        for (first, last) in ranges {
                            state.confirmed.add(first..=last);
                        }
                    }
                    Line::Rest(rest) => state.rest = rest,
                    Line::Ended(is_ended) => state.is_ended = is_ended,
                }
                state.length += length;
            }
        }
    }
    Ok(state)
}

/// Refuses to resume a send with another command or with changed content.
fn check_same(known: &Header, now: &Header, path: &Path) -> Result<(), ExitError> {
    let differs = |what: &str, then: &str, now: &str| {
        let path = path.display();
        ExitError::usage(format!(
            "{path} is the journal of another send: {what} was {then}, and is {now}: the records that are left are not known"
        ))
    };
    if known.queue != now.queue {
        return Err(differs("the queue", &known.queue, &now.queue));
    }
    if (known.file.bytes, &known.file.xxh3) != (now.file.bytes, &now.file.xxh3) {
        let show = |mark: &FileMark| format!("{} bytes with the XXH3 {}", mark.bytes, mark.xxh3);
        return Err(differs("the file", &show(&known.file), &show(&now.file)));
    }
    if known.options != now.options {
        let show = |options: &[String]| crate::format::shell(options);
        return Err(differs("the command", &show(&known.options), &show(&now.options)));
    }
    Ok(())
}

/// Refuses to resume a send whose remaining records are in a file: they would be sent twice.
fn is_over(rest: &Path, path: &Path) -> ExitError {
    let (rest, path) = (rest.display(), path.display());
    ExitError::usage(format!(
        "this send is over, and cannot be resumed: the records that were refused or not taken are in {rest}: correct and send that \
         file; delete {path} to send all of it again"
    ))
}

/// Refuses to send a file again if only some of its records were sent.
fn unfinished(state: &State, now: &Header, path: &Path, changed_ms: u64) -> ExitError {
    let (sent, when, path) = (state.confirmed.count(), rfc3339(changed_ms), path.display());
    let sent = usize::try_from(sent).unwrap_or(usize::MAX);
    let (records, were) = (count(sent, "record"), verb(sent, "was", "were"));
    let is_changed = state.header.file.xxh3 != now.file.xxh3;
    let advice = if is_changed {
        "the file has changed since: send its new records in a file of their own"
    } else {
        "--resume sends the others"
    };
    ExitError::usage(format!(
        "{records} of this file {were} sent to this queue until {when}, and not all: {advice}; delete {path} to send all of it again"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mark_of(content: &str) -> FileMark {
        FileMark::of("jobs.csv", content.as_bytes())
    }

    fn new(content: &str) -> Header {
        header("https://sqs/jobs", mark_of(content), vec!["--type=a.b".to_owned()])
    }

    fn open(path: &Path, header: &Header, begin: Begin) -> Result<Journal, String> {
        Journal::open(path.to_owned(), header.clone(), begin).map_err(|error| error.to_string())
    }

    #[test]
    fn a_journal_cut_off_anywhere_keeps_confirmed_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/jobs.journal");
        let mut journal = open(&path, &new("x"), Begin::Anew).unwrap();
        let send = journal.send_id().unwrap();
        journal.confirm([1, 2, 3]).unwrap();
        journal.confirm([]).unwrap();
        let two = std::fs::read(&path).unwrap().len();
        journal.confirm([5, 4, 9]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in two..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut resumed = open(&path, &new("x"), Begin::Resume).unwrap();
            assert_eq!(resumed.send_id().unwrap(), send, "ids are those of the first process");
            let known: Vec<u64> = (0..12).filter(|number| resumed.has(*number)).collect();
            assert_eq!(known, if cut == whole.len() { vec![1, 2, 3, 4, 5, 9] } else { vec![1, 2, 3] });
            resumed.confirm([10]).unwrap();
            drop(resumed);
            assert!(open(&path, &new("x"), Begin::Resume).unwrap().has(10), "cut at {cut}");
        }
    }

    #[test]
    fn another_send_is_not_resumed_and_an_open_one_not_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.journal");
        let error = open(&path, &new("x"), Begin::Resume).err().unwrap();
        assert!(error.contains("nothing was begun") && !path.exists(), "{error}");
        let mut journal = open(&path, &new("x"), Begin::Anew).unwrap();
        let busy = open(&path, &new("x"), Begin::Resume).err().unwrap();
        assert!(busy.contains("in use"), "{busy}");
        drop(journal);
        journal = open(&path, &new("x"), Begin::Anew).unwrap();
        let first = journal.send_id().unwrap();
        journal.confirm([1]).unwrap();
        drop(journal);
        let other = Header { options: vec!["--type=a.c".to_owned()], ..new("x") };
        let queue = Header { queue: "https://sqs/mail".to_owned(), ..new("x") };
        let table = [
            (new("x"), Begin::Anew, "--resume sends the others"),
            (new("y"), Begin::Anew, "the file has changed"),
            (new("y"), Begin::Resume, "the file was 1 bytes"),
            (other, Begin::Resume, "--type=a.b, and is --type=a.c"),
            (queue, Begin::Resume, "the queue was"),
        ];
        for (header, begin, says) in table {
            let error = open(&path, &header, begin).err().unwrap();
            assert!(error.contains(says), "{says} in {error}");
        }
        let mut journal = open(&path, &new("x"), Begin::Resume).unwrap();
        journal.end().unwrap();
        drop(journal);
        assert!(
            open(&path, &new("x"), Begin::Resume).unwrap().has(1),
            "all was sent, and nothing is sent again"
        );
        let mut again = open(&path, &new("x"), Begin::Anew).unwrap();
        assert!(!again.has(1) && again.send_id().unwrap() != first, "a further send is new work");
        again.set_rest(Some("/tmp/rest.csv".into())).unwrap();
        drop(again);
        let mut resumed = open(&path, &new("x"), Begin::Resume).unwrap();
        assert_eq!(resumed.rest.as_deref(), Some(Path::new("/tmp/rest.csv")));
        resumed.end().unwrap();
        drop(resumed);
        let error = open(&path, &new("x"), Begin::Resume).err().unwrap();
        assert!(error.contains("this send is over") && error.contains("are in /tmp/rest.csv"), "{error}");
        assert!(open(&path, &new("x"), Begin::Anew).is_ok());
    }

    #[test]
    fn a_file_that_is_no_journal_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious.txt");
        std::fs::write(&path, "my notes\n").unwrap();
        let error = open(&path, &new("x"), Begin::Anew).err().unwrap();
        assert!(error.contains("no journal"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes\n");
        // Without a line end, it could be the incomplete first line of a journal.
        std::fs::write(&path, "my notes").unwrap();
        assert!(open(&path, &new("x"), Begin::Anew).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes");
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/jobs.journal");
        drop(open(&path, &new("x"), Begin::Anew).unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn the_mark_of_a_file_is_that_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.csv");
        let content = "a,b\n".repeat(50_000);
        std::fs::write(&path, &content).unwrap();
        let read = mark(&path).unwrap();
        let expected = mark_of(&content);
        assert_eq!((read.bytes, read.xxh3), (expected.bytes, expected.xxh3));
    }
}
