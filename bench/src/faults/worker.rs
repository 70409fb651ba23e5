//! The worker under test, `bench/examples/faulty.rs`: its settings, and a running one.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crossbeam_channel::never;
use rustix::process::{Pid, Signal};

use super::interruption::Interruption;
use crate::usage::forget_settings;
use xtask::process::Process;
use xtask::project;

/// The program's name.
pub(super) const PROGRAM: &str = "faulty";

/// The longest time until a worker is ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The configuration of a worker, which can be started several times.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(super) program: PathBuf,
    pub(super) log: PathBuf,
    pub(super) settings: Vec<(String, String)>,
    pub(super) descriptors: Option<u32>,
    pub(super) interruption: Interruption,
}

impl Launch {
    /// Returns the configuration with an environment variable set, such as `DRUMLINE_CONCURRENCY`.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the configuration with at most this many file descriptors.
    pub(crate) fn with_descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Result<Worker> {
        let mut command = match self.descriptors {
            None => Command::new(&self.program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(&self.program);
                shell
            }
        };
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        project::forget_aws(forget_settings(&mut command)).arg("run").envs(self.settings.iter().cloned());
        command.env("DRUMLINE_HTTP_ADDR", &address);
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        command.stderr(log.with_context(|| format!("cannot write {}", self.log.display()))?);
        let mut process = Process::spawn("the worker", &mut command, &never())?;
        process.stop_by(Signal::KILL);
        Ok(Worker { process, address })
    }

    /// Starts it and returns once it is ready.
    pub(crate) fn start_ready(&self) -> Result<Worker> {
        let worker = self.start()?;
        let url = format!("http://{}/readyz", worker.address);
        let ready = self.interruption.until(START_LIMIT, || Ok(ureq::get(&url).call().is_ok()))?;
        ensure!(ready.is_some(), "the worker is not ready; see {}", self.log.display());
        Ok(worker)
    }
}

/// A running worker. Dropping kills it.
pub(crate) struct Worker {
    process: Process,
    /// The address of its HTTP endpoint.
    pub(crate) address: String,
}

impl Worker {
    pub(crate) fn id(&self) -> Pid {
        self.process.id()
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for its end for some time; `None` if it is still running.
    pub(crate) fn ended_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.process.ended_within(limit)
    }

    /// Restarts it if it has ended, like a supervisor.
    pub(crate) fn revive(&mut self, launch: &Launch) -> Result<bool> {
        let ended = self.ended_within(Duration::ZERO)?.is_some();
        if ended {
            *self = launch.start()?;
        }
        Ok(ended)
    }
}
