//! Questions to the operator before actions that cannot be undone.

use std::io::{self, IsTerminal, Write};

use drumline_consumer::ExitError;

use crate::format::many_lines;
use crate::interrupt::unless_interrupted;

/// Returns true if the operator can be asked.
pub(crate) fn may_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Prints the lines that a question is about, and a blank line.
pub(crate) fn show(lines: &str) {
    // If the terminal is gone, the question that follows reports it.
    let _ = writeln!(io::stderr(), "{}\n", many_lines(lines));
}

/// Asks a question, and returns true if the answer is yes. A signal ends the wait.
pub(crate) async fn confirm(question: &str) -> Result<bool, ExitError> {
    unless_interrupted(answer(question)).await
}

/// Asks a question, and returns true if the answer is yes. Reports and renewals continue meanwhile.
pub(crate) async fn answer(question: &str) -> Result<bool, ExitError> {
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush())?;
    let answer = line(|line| std::io::stdin().read_line(line)).await?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Reads a line on a separate thread. If the result is no longer needed, the read ends with the process.
async fn line(
    read: impl FnOnce(&mut String) -> io::Result<usize> + Send + 'static,
) -> Result<String, ExitError> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        read(&mut line).map(|_| line)
    });
    let line = reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    Ok(line?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[tokio::test]
    async fn the_process_continues_while_a_question_is_open() {
        let (reader, mut writer) = io::pipe().unwrap();
        let read = line(move |line| BufReader::new(reader).read_line(line));
        // Only one thread runs this test: this line is reached only if the question leaves the thread free.
        let goes_on = async {
            tokio::task::yield_now().await;
            writer.write_all(b"yes\n").unwrap();
        };
        let (answer, ()) = tokio::join!(read, goes_on);
        assert_eq!(answer.unwrap(), "yes\n");
    }
}
