//! The functions to compare, each as a process with a local Runtime API.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use super::runtime_api::RuntimeApi;
use crate::programs::Profile;
use crate::usage::{forget_settings, memory_kib, processor_time};
use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

/// The profile with which functions are packaged.
pub(super) const PROFILE: Profile = Profile::Lambda;
pub(super) const MINIMAL: &str = "minimal";
pub(super) const NOOP: &str = "noop_function";
pub(super) const WITH_JOBS: &str = "drumline-lambda";

/// The functions to measure, in the order of their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Decodes the event, and reports success.
    Minimal,
    /// The runtime with a handler that does nothing.
    Noop,
    /// The runtime with this repository's jobs.
    WithJobs,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Minimal, Self::Noop, Self::WithJobs];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Noop => "drumline, no-op job",
            Self::WithJobs => "drumline-lambda",
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Minimal => PROFILE.example(MINIMAL),
            Self::Noop => PROFILE.example(NOOP),
            Self::WithJobs => PROFILE.binary(WITH_JOBS),
        }
    }

    pub(super) fn size_mib(self) -> Result<f64> {
        let program = self.program();
        let size =
            fs::metadata(&program).with_context(|| format!("cannot read {}", program.display()))?.len();
        Ok(f64::from(u32::try_from(size / 1024)?) / 1024.0)
    }
}

/// A running function.
pub(super) struct Function {
    process: Process,
    api: RuntimeApi,
    started_at: Instant,
}

impl Function {
    pub(super) fn start(kind: Kind, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        let log = File::create(folder.join("function.log"))?;
        let api = RuntimeApi::start()?;
        let mut command = Command::new(kind.program());
        forget_settings(&mut command);
        project::forget_aws(&mut command)
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(log);
        if kind == Kind::WithJobs {
            command.env("DRUMLINE_SAMPLE_JOBS", "on");
        }
        let started_at = Instant::now();
        let process = Process::spawn(kind.label(), &mut command, interrupts)?;
        Ok(Self { process, api, started_at })
    }

    /// Returns the time from the start of the process to its first request for work.
    pub(super) fn first_next(&mut self) -> Result<Duration> {
        let asked_at = self.api.first_next()?;
        Ok(asked_at.saturating_duration_since(self.started_at))
    }

    /// Sends it an event, and returns the time until its response.
    pub(super) fn invoke(&mut self, event: &str) -> Result<Duration> {
        let (took, answer) = self.api.invoke(event)?;
        ensure!(answer == r#"{"batchItemFailures":[]}"#, "the function answered {answer}");
        Ok(took)
    }

    pub(super) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.process.id())
    }

    pub(super) fn peak_memory_mib(&self) -> Result<f64> {
        Ok(memory_kib(self.process.id())?.peak_mib())
    }
}
