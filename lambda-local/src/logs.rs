//! Passes on the output of a process line by line.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::task::JoinHandle;

/// The maximum length of a line in bytes, the same as of a CloudWatch Logs event. Longer lines are passed on in parts.
const LONGEST_LINE: u64 = 256 * 1024;

/// A receiver of log lines.
#[derive(Clone)]
pub struct LogSink(Arc<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogSink")
    }
}

impl LogSink {
    /// Returns a receiver that calls `line` with each line, without its line break.
    pub fn new(line: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(line))
    }

    pub(crate) fn line(&self, text: &str) {
        (self.0)(text);
    }

    /// Passes on all lines of a pipe. A line that is too long is passed on in parts.
    pub(crate) fn follow(&self, pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let sink = self.clone();
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            // An error means the end of the pipe: the process has ended.
            while (&mut pipe).take(LONGEST_LINE).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0)
            {
                sink.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                line.clear();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Cursor;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_line_without_an_end_is_passed_on_in_parts() {
        let (lines, passed_on) = mpsc::channel();
        let sink = LogSink::new(move |line| lines.send(line.to_owned()).unwrap());
        let longest = usize::try_from(LONGEST_LINE).unwrap();
        let output = format!("first\r\n{}\nlast", "x".repeat(longest + 1));
        sink.follow(Cursor::new(output.into_bytes())).await.unwrap();
        drop(sink);
        let lengths: Vec<_> = passed_on.iter().map(|line| line.len()).collect();
        assert_eq!(lengths, ["first".len(), longest, 1, "last".len()]);
    }
}
