//! The programs that are measured, and where their builds are.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;

use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::project;

/// The profile of a build.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> PathBuf {
        project::target().join(match self {
            Self::Dev => "debug",
            Self::Release => "release",
        })
    }

    /// The worker, an example of the consumer's crate.
    pub(in crate::bench) fn worker(self) -> PathBuf {
        self.folder().join("examples/faulty")
    }

    /// The queue server that fails on command, of the tests' crate.
    pub(in crate::bench) fn queue(self) -> PathBuf {
        self.folder().join("fault_queue")
    }

    /// Builds both.
    pub(in crate::bench) fn build(self, interrupts: &Receiver<Interrupted>) -> Result<()> {
        let mut cargo = project::cargo();
        cargo.args(["build", "--quiet", "--no-default-features"]);
        cargo.args(["--package", "drumline-consumer", "--example", "faulty"]);
        cargo.args(["--features", "drumline-consumer/redis,drumline-consumer/postgres"]);
        cargo.args(["--package", "drumline-tests", "--bin", "fault_queue"]);
        if matches!(self, Self::Release) {
            cargo.arg("--release");
        }
        let status = Process::spawn("cargo build", &mut cargo, interrupts)?.wait()?;
        ensure!(status.success(), "cargo build failed with {status}");
        Ok(())
    }
}
