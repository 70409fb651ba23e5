//! The output of a process, read line by line.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::task::JoinHandle;

/// The lines of a pipe, so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Reads a pipe to its end.
    pub(crate) fn follow(&self, pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let lines = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe).lines();
            while let Some(line) = pipe.next_line().await.unwrap() {
                lines.lock().unwrap().push(line);
            }
        })
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Returns the log entries with such a message.
    pub(crate) fn logged(&self, is_such: impl Fn(&str) -> bool) -> Vec<Value> {
        entries(&self.0.lock().unwrap(), is_such)
    }
}

/// Returns the log entries with such a message, among all lines of a log.
pub(crate) fn entries(lines: &[String], is_such: impl Fn(&str) -> bool) -> Vec<Value> {
    let entries = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter(|entry| entry["message"].as_str().is_some_and(&is_such)).collect()
}

/// Prints the log of a process if its test fails, because the reason is more often there than in the test.
pub(crate) struct ShownOnFailure(pub(crate) Lines);

impl Drop for ShownOnFailure {
    #[allow(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the process's standard error:\n{}", self.0.all().join("\n"));
        }
    }
}
