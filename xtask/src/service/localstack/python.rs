//! LocalStack without Docker: a Python that can run it, and an environment that holds it.
//!
//! LocalStack 4.14 starts on Python 3.11 and 3.12 and reports itself healthy, yet every SQS call fails there.

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
/// Succeeds on the right version only, and only where environments can be made (Debian packs that separately).
const CAN_RUN_LOCALSTACK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))";
/// The executor's name, as its entry point gives it.
const EXECUTOR: &str = "process";

/// The first Python 3.13 that works, from the search path, then from pyenv.
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

/// Every file that may be a Python 3.13, best first. Some do not work: pyenv's shim is on the search path for every
/// version, but only runs the selected one.
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

/// The Python of an environment that has LocalStack installed as the requirements say.
pub(super) fn environment(
    python: &Path,
    folder: &Path,
    interrupts: &Receiver<Interrupted>,
) -> Result<PathBuf> {
    let requirements = pins::folder().join("requirements.txt");
    let constraints = pins::folder().join("constraints.txt");
    venv::make(python, folder, &[requirements, constraints], interrupts)
}

/// The command that runs LocalStack in the foreground.
pub(super) fn run(python: &Path, files: &Path, port: u16) -> Result<Command> {
    let settings = pins::folder().join("settings.env");
    let text =
        fs::read_to_string(&settings).with_context(|| format!("cannot read {}", settings.display()))?;
    let mut command = Command::new(python);
    command.args(["-m", "localstack.runtime.main"]);
    project::forget_aws(&mut command);
    command.envs(parse_settings(&text));
    // The plain form of an IPv4 address makes its server bind every interface; the mapped one binds loopback only.
    command.env("GATEWAY_LISTEN", format!("[::ffff:127.0.0.1]:{port}"));
    command.env("LOCALSTACK_HOST", format!("127.0.0.1:{port}"));
    command.env("FILESYSTEM_ROOT", files);
    // The unpacked code of functions goes there.
    command.env("TMPDIR", files);
    command.env("LAMBDA_RUNTIME_EXECUTOR", EXECUTOR).env("PYTHONPATH", executor());
    // No DNS server: it would listen on every interface.
    command.env("DNS_ADDRESS", "0");
    Ok(command)
}

/// The project's own Python package that runs functions without Docker.
fn executor() -> PathBuf {
    pins::folder().join("executor")
}

/// The command that tests that package.
pub(super) fn executor_tests(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "unittest", "discover", "--start-directory"]).arg(executor().join("tests"));
    command.env("PYTHONPATH", executor());
    command
}

/// `NAME=value` lines, as Docker reads them from an environment file.
fn parse_settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
}

#[cfg(test)]
#[path = "python_tests.rs"]
mod tests;
