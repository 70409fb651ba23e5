//! `cargo xtask docs`: checks what people read, and builds the book.

mod book;
mod links;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use xtask::progress::phase;
use xtask::project;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the counts of today's words as the budget
    #[arg(long)]
    write_budget: bool,
    /// Check only, without a book
    #[arg(long)]
    no_book: bool,
}

/// A file of the repository, and its text.
struct Page {
    /// Relative to the root.
    path: PathBuf,
    text: String,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let pages = tracked(&["*.md", "*.rs"])?;
    if options.write_budget {
        words::write_budget(&pages)?;
        return Ok(ExitCode::SUCCESS);
    }
    let broken = links::broken(&pages);
    let over = words::over_budget(&pages)?;
    for problem in broken.iter().chain(&over) {
        println!("{problem}");
    }
    println!("{} broken links, {} counts that differ from the budget", broken.len(), over.len());
    if !options.no_book {
        phase("the book", book::build)?;
    }
    Ok(if broken.is_empty() && over.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the files that git tracks, or that are new and not ignored.
fn tracked(patterns: &[&str]) -> Result<Vec<Page>> {
    let mut list = Command::new("git");
    list.current_dir(project::root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
    ]);
    let output = list.args(patterns).output().context("git ls-files")?;
    ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a path that is not UTF-8")?;
    let mut pages = Vec::new();
    for name in names.split_terminator('\0') {
        // A deleted file is still listed.
        if let Ok(text) = fs::read_to_string(project::root().join(name)) {
            pages.push(Page { path: name.into(), text });
        }
    }
    Ok(pages)
}

/// Returns a path without `.` and `..`, which need not exist.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(parts.pop()),
            std::path::Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}
