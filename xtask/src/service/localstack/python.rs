//! LocalStack without Docker: a suitable Python, and an environment with LocalStack.
//!
//! LocalStack 4.14 starts on Python 3.11 and 3.12 and reports itself healthy, but every SQS call fails there.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use crossbeam_channel::Receiver;

use super::pins;
use crate::interrupt::Interrupted;
use crate::{project, venv};

const PROGRAM: &str = "python3.13";
/// Succeeds only with the right version, and only if environments can be created (a separate package in Debian).
const CAN_RUN_LOCALSTACK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))";
/// The executor's name in its entry point.
const EXECUTOR: &str = "process";

/// Returns the first working Python 3.13 from the search path or from pyenv.
pub(super) fn find() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".pyenv")));
    let candidates = candidates(&path, pyenv.as_deref());
    match candidates.iter().find(|python| works(python)) {
        Some(python) => Ok(python.clone()),
        None => bail!(
            "LocalStack needs one of two things, and this machine has neither:\n\
             - a Docker engine (`docker info` must succeed), or\n\
             - Python 3.13 with venv, as `{PROGRAM}` on the search path or from pyenv.\n\
             Debian 13: apt-get install python3.13-venv. With pyenv: pyenv install 3.13.\n\
             `cargo xtask test --quick` runs the tests that need no LocalStack. Tried: {candidates:?}"
        ),
    }
}

/// Returns every file that may be a Python 3.13, best first. Some do not work: pyenv's shims are on the search path for every
/// version, but only run the selected one.
fn candidates(path: &OsStr, pyenv: Option<&Path>) -> Vec<PathBuf> {
    let on_path = env::split_paths(path).map(|folder| folder.join(PROGRAM));
    let mut versions: Vec<PathBuf> = pyenv
        .and_then(|pyenv| fs::read_dir(pyenv.join("versions")).ok())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("3.13"))
        .map(|entry| entry.path().join("bin").join(PROGRAM))
        .collect();
    versions.sort();
    on_path.chain(versions).filter(|python| python.is_file()).collect()
}

fn works(python: &Path) -> bool {
    Command::new(python).args(["-c", CAN_RUN_LOCALSTACK]).output().is_ok_and(|output| output.status.success())
}

/// Returns the Python of an environment in which LocalStack is installed according to the requirements.
pub(super) fn environment(
    python: &Path,
    folder: &Path,
    interrupts: &Receiver<Interrupted>,
) -> Result<PathBuf> {
    let requirements = pins::folder().join("requirements.txt");
    let constraints = pins::folder().join("constraints.txt");
    venv::make(python, folder, &[requirements, constraints], interrupts)
}

/// Returns the command that runs LocalStack in the foreground.
pub(super) fn run(python: &Path, files: &Path, port: u16) -> Result<Command> {
    let settings = pins::folder().join("settings.env");
    let text =
        fs::read_to_string(&settings).with_context(|| format!("cannot read {}", settings.display()))?;
    let mut command = Command::new(python);
    command.args(["-m", "localstack.runtime.main"]);
    project::forget_aws(&mut command);
    command.envs(parse_settings(&text));
    // With a plain IPv4 address, its server binds every interface; with the mapped form, only loopback.
    command.env("GATEWAY_LISTEN", format!("[::ffff:127.0.0.1]:{port}"));
    command.env("LOCALSTACK_HOST", format!("127.0.0.1:{port}"));
    command.env("FILESYSTEM_ROOT", files);
    // The unpacked code of functions is stored there.
    command.env("TMPDIR", files);
    command.env("LAMBDA_RUNTIME_EXECUTOR", EXECUTOR).env("PYTHONPATH", executor());
    // No DNS server: it would listen on every interface.
    command.env("DNS_ADDRESS", "0");
    Ok(command)
}

/// Returns the project's own Python package that runs functions without Docker.
fn executor() -> PathBuf {
    pins::folder().join("executor")
}

/// Returns the command that tests this package.
pub(super) fn executor_tests(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "unittest", "discover", "--start-directory"]).arg(executor().join("tests"));
    command.env("PYTHONPATH", executor());
    command
}

/// Parses `NAME=value` lines like Docker's environment files.
fn parse_settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
}

#[cfg(test)]
#[path = "python_tests.rs"]
mod tests;
