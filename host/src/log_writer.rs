//! Standard error as the place of log lines.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::marker::PhantomData;

use tracing_subscriber::fmt::MakeWriter;

/// Beyond so many bytes lines are written before the hold is over: those of some hundred jobs.
const MAX_HELD_BYTES: usize = 64 * 1024;

thread_local! {
    /// The lines that are held on this thread, if any may be.
    static HELD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes lines to standard error: at once, or together with others of the thread while it [holds](HeldLines) them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let due = HELD.with_borrow_mut(|held| match held {
            Some(lines) => hold(lines, line).map(Cow::Owned),
            None => Some(Cow::Borrowed(line)),
        });
        if let Some(due) = due {
            io::stderr().write_all(&due)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds a line to those that are held. Returns all of them once they are many.
fn hold(lines: &mut Vec<u8>, line: &[u8]) -> Option<Vec<u8>> {
    lines.extend_from_slice(line);
    (lines.len() > MAX_HELD_BYTES).then(|| std::mem::take(lines))
}

/// Holds the lines of a thread until it is dropped, and then writes them by one call. For work that is over at once and logs a line for
/// each of several jobs: a call of the system takes longer than all else about a line.
pub(crate) struct HeldLines {
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl HeldLines {
    /// Holds the lines of this thread from now on.
    pub(crate) fn new() -> Self {
        HELD.with_borrow_mut(|held| {
            held.get_or_insert_default();
        });
        Self { not_send: PhantomData }
    }
}

impl Drop for HeldLines {
    fn drop(&mut self) {
        if let Some(lines) = HELD.take()
            && !lines.is_empty()
        {
            // There is no other place to report that it fails.
            let _ = io::stderr().write_all(&lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_held_until_they_are_many() {
        let mut lines = Vec::new();
        assert_eq!(hold(&mut lines, b"one\n"), None);
        assert_eq!(hold(&mut lines, b"two\n"), None);
        assert_eq!(lines, b"one\ntwo\n");
        let long = vec![b'x'; MAX_HELD_BYTES];
        let due = hold(&mut lines, &long).expect("they are many");
        assert_eq!(due, [b"one\ntwo\n".as_slice(), &long].concat());
        assert!(lines.is_empty());
    }

    #[test]
    fn a_thread_holds_its_own_lines_until_the_hold_is_over() {
        let held = || HELD.with_borrow(|held| held.as_ref().map(Vec::len));
        assert_eq!(held(), None);
        let lines = HeldLines::new();
        assert_eq!(LogWriter.write(b"{}\n").ok(), Some(3));
        assert_eq!(held(), Some(3));
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(held(), None)).join()).expect("it holds none");
        drop(lines);
        assert_eq!(held(), None);
    }
}
