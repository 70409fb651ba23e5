//! The environments for tests of generated clients: a Python environment with boto3 and mypy, and Node.js packages with AWS's
//! SDK and the TypeScript compiler. Both are installed below the target folder, with the versions that `infra/clients` pins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use crossbeam_channel::Receiver;

use super::programs;
use crate::interrupt::Interrupted;
use crate::progress::phase;
use crate::project;
use crate::venv::{self, is_current, lock, run_to_success};

/// The folder's name in the target folder and in `infra`.
const NAME: &str = "clients";
/// The oldest version of Node.js that AWS's SDK supports.
const OLDEST_NODE: u32 = 20;

/// The installed environments.
#[derive(Debug)]
pub struct Installation {
    python: PathBuf,
    /// The folder that contains `node_modules`, if the machine has Node.js.
    node: Option<PathBuf>,
}

/// Installs what is missing. On a machine without Node.js, or with an old version, the tests that need it are skipped.
pub fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    phase("prepare what insert clients run on", || {
        let folder = project::target().join(NAME);
        let pins = ["requirements.txt", "constraints.txt"].map(|name| pins().join(name));
        let python = venv::make(&venv::python()?, &folder, &pins, interrupts)?;
        println!("    with Python: {}", python.display());
        let node = match find() {
            Ok(programs) => Some(packages(&programs, &folder.join("node"), interrupts)?),
            Err(missing) => {
                println!("    without Node.js: {missing}; the tests of the TypeScript client are left out");
                None
            }
        };
        Ok(Installation { python, node })
    })
}

impl Installation {
    /// Returns the variables for the tests.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let python = ("DRUMLINE_TEST_PYTHON", self.python.display().to_string());
        let node = self.node.as_ref().map(|folder| ("DRUMLINE_TEST_NODE", folder.display().to_string()));
        [Some(python), node].into_iter().flatten().collect()
    }
}

fn pins() -> PathBuf {
    project::root().join("infra").join(NAME)
}

/// The properties of Node.js that determine an installation.
#[derive(Debug)]
struct Node {
    npm: PathBuf,
    version: String,
}

fn find() -> Result<Node, String> {
    let program = |name: &str| {
        programs::first(&[name], &programs::search_path())
            .ok_or_else(|| format!("{name} is not on the search path"))
    };
    let (node, npm) = (program("node")?, program("npm")?);
    let output = Command::new(&node)
        .arg("--version")
        .output()
        .map_err(|error| format!("{}: {error}", node.display()))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if is_new_enough(&version) {
        Ok(Node { npm, version })
    } else {
        Err(format!("{} is {version:?}, and {OLDEST_NODE} is needed", node.display()))
    }
}

/// Returns true for `v20.1.0` and newer versions.
fn is_new_enough(version: &str) -> bool {
    let major = version.strip_prefix('v').and_then(|version| version.split('.').next());
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= OLDEST_NODE)
}

/// Returns the folder with the packages. They are installed again if their versions or Node.js have changed.
fn packages(node: &Node, folder: &Path, interrupts: &Receiver<Interrupted>) -> Result<PathBuf> {
    let pinned = pins().join("package.json");
    let text = fs::read_to_string(&pinned).with_context(|| format!("cannot read {}", pinned.display()))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = lock(&folder.join("lock"), interrupts)?;
    let stamp = folder.join("stamp");
    let wanted = format!("{}\n{text}", node.version);
    if !is_current(&stamp, &wanted) {
        println!("    installing into {} (a few seconds, once)", folder.display());
        fs::write(folder.join("package.json"), &text)
            .with_context(|| format!("cannot write {}", folder.display()))?;
        // The user's own configuration of npm determines where packages come from.
        let mut install = Command::new(&node.npm);
        install.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--ignore-scripts",
            "--loglevel=error",
        ]);
        run_to_success("npm install", install.current_dir(folder), interrupts)?;
        // Written last, so that an incomplete installation never counts as complete.
        fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    println!("    with Node.js {}: {}", node.version, folder.display());
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, expected) in
            [("v20.0.0", true), ("v9.1.0", false), ("v100.0.0", true), ("v18.20.1", false), ("", false)]
        {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn tests_get_node_only_if_it_is_installed() {
        let names = |node: Option<&str>| {
            let installation = Installation { python: "python".into(), node: node.map(PathBuf::from) };
            installation.env().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["DRUMLINE_TEST_PYTHON"]);
        assert_eq!(names(Some("node")), ["DRUMLINE_TEST_PYTHON", "DRUMLINE_TEST_NODE"]);
    }

    #[test]
    fn every_package_has_one_version() {
        let text = fs::read_to_string(pins().join("package.json")).unwrap();
        let versions: Vec<&str> = text.lines().filter_map(|line| line.split("\": \"").nth(1)).collect();
        let is_exact = |version: &&&str| version.starts_with(|c: char| c.is_ascii_digit());
        assert!(versions.iter().filter(is_exact).count() >= 3, "{versions:?}");
        assert!(!text.contains('^') && !text.contains('~'), "{text}");
    }
}
