//! Python environments below the target folder, created once, and again when their inputs have changed.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::interrupt::Interrupted;
use crate::process::Process;

/// The interval at which a run that waits for another run's installation checks again.
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// Succeeds if environments can be created (a separate package in Debian) with a Python version that the tools support.
const CAN_MAKE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < (3, 11))";

/// Returns any Python that can create environments.
pub fn python() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];
    let candidates = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let works = |python: &PathBuf| {
        python.is_file()
            && Command::new(python)
                .args(["-c", CAN_MAKE])
                .output()
                .is_ok_and(|output| output.status.success())
    };
    let Some(python) = candidates.into_iter().find(works) else {
        bail!(
            "Python 3.11 or newer with venv is needed and not on the search path. Debian 12 and newer: \
             apt-get install python3-venv"
        );
    };
    Ok(python)
}

/// Returns the Python of an environment in `folder` in which the first of these files, a requirements file, is installed. A
/// change of any of the files creates it anew.
pub fn make(
    python: &Path,
    folder: &Path,
    files: &[PathBuf],
    interrupts: &Receiver<Interrupted>,
) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = lock(&folder.join("lock"), interrupts)?;
    let venv = folder.join("venv");
    let installed = venv.join("bin/python");
    let stamp = venv.join("stamp");
    let wanted = stamp_of(python, files)?;
    if is_current(&stamp, &wanted) {
        return Ok(installed);
    }

    println!("    installing into {} (about half a minute, once)", venv.display());
    let mut make = Command::new(python);
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    run_to_success("python -m venv", &mut make, interrupts)?;
    // The user's own configuration of pip determines where packages come from.
    let mut install = Command::new(&installed);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.args(files.first());
    run_to_success("pip install", &mut install, interrupts)?;
    // Written last, so that an incomplete installation never counts as complete.
    fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(installed)
}

/// Returns a text with all inputs of an installation.
fn stamp_of(python: &Path, files: &[PathBuf]) -> Result<String> {
    let mut stamp = format!("{}\n", python.display());
    for path in files {
        stamp += &fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(stamp)
}

pub(crate) fn is_current(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == wanted)
}

/// Locks a file, because two concurrent runs must not install into one folder. The lock ends when the returned file is dropped.
pub(crate) fn lock(path: &Path, interrupts: &Receiver<Interrupted>) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => match interrupts.recv_timeout(LOCK_PAUSE) {
                Ok(interrupted) => return Err(interrupted.into()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(error @ RecvTimeoutError::Disconnected) => return Err(error.into()),
            },
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Runs a command that must succeed.
pub fn run_to_success(name: &str, command: &mut Command, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let status = Process::spawn(name, command, interrupts)?.wait()?;
    ensure!(status.success(), "{name} failed with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crossbeam_channel::{never, unbounded};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn any_change_of_python_or_pins_makes_the_environment_stale() {
        let folder = TempDir::new().unwrap();
        let files = ["requirements.txt", "constraints.txt"].map(|name| folder.path().join(name));
        let write = |index: usize, text: &str| fs::write(&files[index], text).unwrap();
        write(0, "localstack-core==1\n");
        write(1, "six==1\n");
        let python = Path::new("/usr/bin/python3.13");
        let stamp = folder.path().join("stamp");
        let wanted = || stamp_of(python, &files).unwrap();

        assert!(!is_current(&stamp, &wanted()), "nothing is installed");
        fs::write(&stamp, wanted()).unwrap();
        assert!(is_current(&stamp, &wanted()));

        let other_python = stamp_of(Path::new("/opt/python3.13"), &files).unwrap();
        assert!(!is_current(&stamp, &other_python));
        write(1, "six==2\n");
        assert!(!is_current(&stamp, &wanted()));
        write(1, "six==1\n");
        write(0, "localstack-core==2\n");
        assert!(!is_current(&stamp, &wanted()));
    }

    #[test]
    fn a_held_lock_is_waited_for_until_a_signal_comes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path, &never()).unwrap();
        let (sender, interrupts) = unbounded();
        sender.send(Interrupted { signal: 15 }).unwrap();
        let error = lock(&path, &interrupts).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Interrupted { signal: 15 }));
        drop(held);
        lock(&path, &never()).unwrap();
    }
}
