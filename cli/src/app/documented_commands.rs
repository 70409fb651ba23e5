//! The commands of README and the book, parsed by the command line that they are for.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command_line::CommandLine;

/// A block of shell commands, with the place of its first line.
struct Block {
    place: String,
    script: String,
}

/// Writes each command's number of arguments and the arguments into the file `$COMMANDS`, and prints a word for the
/// substitutions. The shell has no other programs, so nothing else runs.
const STUB: &str = r#"
PATH=/none
drumline() { printf '%s\0' "$#" "$@" >>"$COMMANDS"; printf 'word\n'; }
orders() { drumline "$@"; }
QUEUE=http://127.0.0.1:9324/000000000000/jobs ID=order-42 JOB=order-42 REASON=3f2a91c0 COUNT=40 BUCKET=letters
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<PathBuf> {
    let of_book = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let markdown = of_book.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut pages: Vec<PathBuf> = markdown.chain([root().join("README.md")]).collect();
    pages.sort();
    pages
}

/// Returns the lines of a block that a shell reads: in a console block those behind a prompt, with their heredocs.
fn script(language: &str, lines: &[&str]) -> String {
    let mut script = String::new();
    let mut in_heredoc = false;
    for line in lines {
        let command = if language == "sh" || in_heredoc { Some(*line) } else { line.strip_prefix("$ ") };
        // Nothing is written to the files that a page names.
        let command = command.map(|line| line.split(" > ").next().unwrap_or_default());
        in_heredoc = (in_heredoc || line.contains("<<'END'")) && *line != "END";
        if let Some(command) = command {
            writeln!(script, "{command}").unwrap();
        }
    }
    script
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut lines = text.lines().enumerate();
    let mut blocks = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let inside: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```")).collect();
        if matches!(language, "sh" | "console") {
            let place = format!("{}:{}", page.display(), number + 2);
            blocks.push(Block { place, script: script(language, &inside) });
        }
    }
    blocks
}

/// Runs a block in a shell without programs, and returns the arguments of each `drumline` in it.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("commands");
    let script = format!("{STUB}{}\nwait\n", block.script);
    let syntax = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(syntax.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&syntax.stderr));
    Command::new("bash")
        .args(["-c", &script])
        .env("COMMANDS", &file)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let mut words = written.split_terminator('\0').map(str::to_owned);
    std::iter::from_fn(|| {
        let count = words.next()?.parse().unwrap();
        Some(words.by_ref().take(count).collect())
    })
    .collect()
}

#[test]
fn every_command_of_the_book_is_one_of_this_program() {
    let mut count = 0;
    let mut wrong = String::new();
    for block in pages().iter().flat_map(|page| blocks(page)) {
        for arguments in commands(&block) {
            count += 1;
            let all = std::iter::once("drumline".to_owned()).chain(arguments.clone());
            if let Err(error) = CommandLine::of("drumline", None).try_get_matches_from(all) {
                writeln!(wrong, "{}: drumline {}\n{error}", block.place, arguments.join(" ")).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 80, "only {count} commands were found");
}
