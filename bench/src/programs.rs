//! The programs that are measured, and where their builds are.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

/// The profile of a build. `Cargo.toml` of the workspace says what each is made for.
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

    /// The path of a built binary of the workspace.
    pub(crate) fn binary(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Dev => "debug",
            Self::Dist | Self::Lambda => self.name(),
        };
        project::target().join(folder).join(name)
    }

    /// The path of a built example of this crate.
    pub(crate) fn example(self, name: &str) -> PathBuf {
        self.binary("examples").join(name)
    }

    /// Builds what the arguments select. No feature is enabled that they do not name.
    pub(crate) fn build(self, arguments: &[&str], interrupts: &Receiver<Interrupted>) -> Result<()> {
        self.build_by(project::cargo(), arguments, interrupts)
    }

    /// As [`Self::build`], by a `cargo` with variables of its own.
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
