//! The process of a function, with its own Runtime API.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::function::Function;
use crate::runtime_api::RuntimeApi;

/// The time that a process has after a SIGTERM, the same as Lambda's shutdown phase.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// The time to wait for the last lines of a process that has ended. A child process may keep the pipes open.
const LAST_LINES_TIME: Duration = Duration::from_millis(500);

/// A running process. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) api: Arc<RuntimeApi>,
    pub(crate) started: Instant,
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) async fn start(function: &Function) -> io::Result<Self> {
        let api = Arc::new(RuntimeApi::start(&function.arn()).await?);
        let mut command = Command::new(&function.bootstrap);
        command.envs(function.environment()).env("AWS_LAMBDA_RUNTIME_API", api.address());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C in the terminal is meant for this program, which then stops the function in order.
        command.process_group(0).kill_on_drop(true);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().map(|pipe| function.logs.follow(pipe));
        let stderr = child.stderr.take().map(|pipe| function.logs.follow(pipe));
        Ok(Self { api, started, child, readers: stdout.into_iter().chain(stderr).collect() })
    }

    /// Waits until the process ends. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Returns the peak memory of the process so far, in megabytes.
    pub(crate) fn max_memory_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }

    /// Kills the process, and its children unless it had already ended, and waits for its last lines.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        // This fails if the process has already been waited for.
        let _ = self.child.wait().await;
        self.last_lines().await;
    }

    /// Stops the process: SIGTERM, and SIGKILL if it still runs after two seconds.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(SHUTDOWN_TIME, self.child.wait()).await.is_err() {
            self.kill().await;
        } else {
            self.last_lines().await;
        }
    }

    /// Waits until the pipes of a process that has ended are read to the end.
    pub(crate) async fn last_lines(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = timeout(LAST_LINES_TIME, reader).await;
        }
    }

    /// Sends a signal to the process and its children, unless it has been waited for: its ID may then belong to another
    /// process.
    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
