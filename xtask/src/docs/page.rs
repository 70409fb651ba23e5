//! The pages to check.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use xtask::project;

/// A file of the repository, and its text.
pub(super) struct Page {
    /// The path relative to the root.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the files that git tracks, and new files that are not ignored.
pub(super) fn tracked(patterns: &[&str]) -> Result<Vec<Page>> {
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

/// Returns a path without `.` and `..`. The path need not exist.
pub(super) fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}
