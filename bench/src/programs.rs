//! The programs to measure, and the places of their builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

/// The profile of a build. The workspace's `Cargo.toml` describes the purpose of each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    Dev,
    /// The profile of images and packages.
    Dist,
    /// The profile of functions.
    Lambda,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Dist => "dist",
            Self::Lambda => "lambda",
        }
    }

    /// Returns the path of a built binary of the workspace.
    pub(crate) fn binary(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Dev => "debug",
            Self::Dist | Self::Lambda => self.name(),
        };
        project::target().join(folder).join(name)
    }

    /// Returns the path of a built example of this crate.
    pub(crate) fn example(self, name: &str) -> PathBuf {
        self.binary("examples").join(name)
    }

    /// Builds the programs that the arguments select, with only the features that they name.
    pub(crate) fn build(self, arguments: &[&str], interrupts: &Receiver<Interrupted>) -> Result<()> {
        self.build_by(project::cargo(), arguments, interrupts)
    }

    /// Builds like [`Self::build`], with a `cargo` that has its own variables.
    pub(crate) fn build_by(
        self,
        mut cargo: Command,
        arguments: &[&str],
        interrupts: &Receiver<Interrupted>,
    ) -> Result<()> {
        cargo.args(["build", "--quiet", "--profile", self.name(), "--no-default-features"]);
        cargo.args(["--package", env!("CARGO_PKG_NAME")]).args(arguments);
        let status = Process::spawn("cargo build", &mut cargo, interrupts)?.wait()?;
        ensure!(status.success(), "cargo build failed with {status}");
        Ok(())
    }
}
