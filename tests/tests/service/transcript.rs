//! The commands of a section of a Markdown page, with the output on the page, and the script that runs them.
//!
//! Commands are those of `console` blocks, each after `$ `, a heredoc up to its `END`. The lines below a command are its
//! output: they must occur in that order, and `…` stands for any text. A command with the comment `# fails` must fail, and any
//! other must succeed. A command with the argument `dev` runs in the background until `^C`, and the next one starts when its
//! output on the page has appeared. Output at the beginning of a block also belongs to that command, and is waited for too.

use std::fmt::Write as _;
use std::path::Path;

/// The prompt before a command.
const PROMPT: &str = "$ ";

/// The line that interrupts the command in the background.
const INTERRUPT: &str = "^C";

/// The end of a heredoc.
const HEREDOC: (&str, &str) = ("<<'END'", "END");

/// The comment after a command that must fail.
const FAILS: &str = "# fails";

/// Stands for any text in the page's output.
const ANYTHING: &str = "…";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Must succeed.
    Command,
    /// Must fail.
    Failing,
    /// Runs in the background of the following commands.
    Server,
    /// Waits for output of the server.
    Output,
    /// Ends the server.
    Interrupt,
}

/// A command, with the lines of its output on the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

impl Step {
    fn new(command: String) -> Self {
        let is_server = command.split_whitespace().any(|word| word == "dev");
        let kind = match &*command {
            INTERRUPT => Kind::Interrupt,
            _ if command.contains(FAILS) => Kind::Failing,
            _ if is_server => Kind::Server,
            _ => Kind::Command,
        };
        Self { kind, command, shown: Vec::new() }
    }

    /// Returns the first line on the page that the output lacks.
    pub(crate) fn missing_in(&self, output: &str) -> Option<&str> {
        let mut lines = output.lines();
        let shown = self.shown.iter().filter(|shown| *shown != ANYTHING);
        shown.map(String::as_str).find(|&shown| !lines.any(|line| is_like(line, shown)))
    }
}

/// Returns true if a line matches one on the page, in which `…` stands for any text.
fn is_like(line: &str, shown: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim_end().strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// Returns the steps of the section with this heading.
pub(crate) fn steps(page: &str, heading: &str) -> Vec<Step> {
    let mut lines = page.lines().skip_while(|line| *line != heading).skip(1).peekable();
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_console, mut begins) = (false, false);
    while let Some(line) = lines.next_if(|line| in_console || !line.starts_with("## ")) {
        if line.starts_with("```") {
            in_console = line == "```console";
            begins = in_console;
            continue;
        }
        if let Some(command) = line.strip_prefix(PROMPT).filter(|_| in_console) {
            let mut command = command.to_owned();
            if command.contains(HEREDOC.0) {
                for line in lines.by_ref() {
                    let _ = write!(command, "\n{line}");
                    if line == HEREDOC.1 {
                        break;
                    }
                }
            }
            steps.push(Step::new(command));
        } else if in_console && line == INTERRUPT {
            steps.push(Step::new(INTERRUPT.to_owned()));
        } else if in_console && !line.is_empty() {
            if begins {
                steps.push(Step { kind: Kind::Output, command: String::new(), shown: Vec::new() });
            }
            let step = steps.last_mut().expect("output is shown below a command");
            step.shown.push(line.to_owned());
        }
        begins = false;
    }
    steps
}

/// Returns a script for bash that runs the steps one after the other and writes the output of each to a file in `outputs`: its number.
pub(crate) fn script(steps: &[Step], outputs: &Path) -> String {
    let mut script = "set -euo pipefail -o monitor\n\
         server=\n\
         trap '[[ -z $server ]] || kill -KILL -- \"-$server\"' EXIT\n\
         trap 'exit 1' TERM\n"
        .to_owned();
    for (number, Step { kind, command, shown }) in steps.iter().enumerate() {
        let output = outputs.join(number.to_string()).display().to_string();
        let step = match kind {
            Kind::Command => format!("{{ {command}\n}} >{output} 2>&1"),
            Kind::Failing => {
                format!("if {{ {command}\n}} >{output} 2>&1; then echo 'it succeeded' >>{output}; exit 1; fi")
            }
            Kind::Server => format!(
                "mkfifo {output}.pipe\n\
                 (exec {command}) >{output}.pipe 2>&1 &\n\
                 server=$!\n\
                 exec 9<{output}.pipe\n{}",
                wait_for(shown, &output)
            ),
            Kind::Output => wait_for(shown, &output),
            Kind::Interrupt => format!(
                "kill -INT -- \"-$server\"\n\
                 cat <&9 >{output}\n\
                 wait \"$server\"\n\
                 server="
            ),
        };
        let _ = writeln!(script, "echo {number} >{}\n{step}", outputs.join("last").display());
    }
    script
}

/// Reads the output of the server into a file, up to the last line on the page.
fn wait_for(shown: &[String], output: &str) -> String {
    let last = shown.iter().rfind(|line| *line != ANYTHING).expect("a server says when it is ready");
    let pattern = last.split(ANYTHING).map(quoted).collect::<Vec<_>>().join("*");
    format!(
        "ready=\n\
         while [[ -z $ready ]]; do\n\
         IFS= read -r -t 600 line <&9\n\
         printf '%s\\n' \"$line\" >>{output}\n\
         [[ $line != {pattern} ]] || ready=yes\n\
         done"
    )
}

/// Quotes a text as one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn steps_are_read_in_order_with_their_output() {
    let page = "# Page\n```console\n$ not this\n```\n## First\ntext $ no\n```console\n$ a 1\n…\none … two\n$ cat >x <<'END'\n## y\n\
                END\n```\n```sh\n$ no\n```\n```console\n$ false   # fails\n$ run -- dev\nready\n```\nText.\n```console\n…more\n^C\n```\n## Second\n```console\n$ no\n```\n";
    let steps = steps(page, "## First");
    let read: Vec<(Kind, &str, usize)> =
        steps.iter().map(|step| (step.kind, &*step.command, step.shown.len())).collect();
    assert_eq!(
        read,
        [
            (Kind::Command, "a 1", 2),
            (Kind::Command, "cat >x <<'END'\n## y\nEND", 0),
            (Kind::Failing, "false   # fails", 0),
            (Kind::Server, "run -- dev", 1),
            (Kind::Output, "", 1),
            (Kind::Interrupt, "^C", 0),
        ]
    );
    assert_eq!(steps[0].missing_in("x\none and two\ny"), None);
    assert_eq!(steps[0].missing_in("one\ntwo"), Some("one … two"));
}

#[test]
fn shown_lines_are_patterns() {
    for (line, shown, like) in [
        ("a b c", "a b c", true),
        ("a b c", "a b", false),
        ("a b c", "a … c", true),
        ("a b c", "… b …", true),
        ("a b c", "…c", true),
        ("a b c", "…x…", false),
        ("ab", "ab…", true),
    ] {
        assert_eq!(is_like(line, shown), like, "{line:?} and {shown:?}");
    }
}
