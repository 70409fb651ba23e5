//! The `drumline-lambda` binary as the process of a function, with a Runtime API, an application and a queue of the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::binary::binary;
use crate::eventually::{PATIENCE, eventually};
use crate::local_queue::LocalQueue;
use crate::output::{Lines, ShownOnFailure};
use crate::queues::REGION;
use crate::runtime_api::{Answered, Invocation, Pending, RuntimeApi};
use crate::worker::{Finished, send_signal};

/// A start of the function that is being prepared. The test's own environment does not reach it.
pub struct FunctionLaunch {
    env: BTreeMap<String, String>,
    home: TempDir,
    binary: Option<PathBuf>,
}

impl Default for FunctionLaunch {
    fn default() -> Self {
        Self::new()
    }
}

impl FunctionLaunch {
    /// Returns the function with Lambda's environment for every function, and no other setting.
    ///
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let task_root = home.path().display().to_string();
        let launch = Self { env: BTreeMap::new(), home, binary: None };
        launch
            .env("_HANDLER", "bootstrap")
            .env("AWS_LAMBDA_FUNCTION_NAME", "drumline")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/drumline")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2025/11/22/[$LATEST]0")
            .env("LAMBDA_TASK_ROOT", &task_root)
            .env("TZ", ":UTC")
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_SESSION_TOKEN", "test")
            .env("DRUMLINE_SAMPLE_JOBS", "on")
            .env("RUST_BACKTRACE", "1")
    }

    /// Returns the function that forwards to `app` and sends its SQS requests to the endpoint of `queue`. It retries without
    /// jitter, so that delays can be predicted.
    pub fn forwarding(app: &App, queue: &LocalQueue) -> Self {
        Self::new()
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_RETRY", "exponential(1s,2,5m)")
            .env("DRUMLINE_RETRY_JITTER", "none")
            .env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url())
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets another program: a function with its own handlers.
    pub fn program(self, binary: PathBuf) -> Self {
        Self { binary: Some(binary), ..self.without("DRUMLINE_SAMPLE_JOBS") }
    }

    /// Removes a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Returns the folder in which the process runs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts the process, with its own Runtime API.
    pub async fn spawn(self) -> FunctionProcess {
        let api = RuntimeApi::start().await;
        let program = self.binary.unwrap_or_else(|| binary("drumline-lambda", "drumline-lambda"));
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).env("AWS_LAMBDA_RUNTIME_API", api.address());
        command.current_dir(self.home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = [
            stdout.follow(child.stdout.take().expect("it is piped")),
            stderr.follow(child.stderr.take().expect("it is piped")),
        ];
        let log = ShownOnFailure(stderr.clone());
        FunctionProcess { api, begun, child, stdout, stderr, readers, _home: self.home, _log: log }
    }
}

/// A running function. It is killed when dropped, like an environment that Lambda no longer needs.
pub struct FunctionProcess {
    api: RuntimeApi,
    begun: Instant,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: [JoinHandle<()>; 2],
    _home: TempDir,
    _log: ShownOnFailure,
}

impl FunctionProcess {
    /// Invokes the function and waits for the end of the invocation.
    pub async fn invoke(&self, invocation: Invocation) -> Answered {
        let answered = self.begin(invocation).answered().await;
        let faults = self.api.faults();
        assert!(faults.is_empty(), "{faults:?}");
        answered
    }

    /// Invokes the function.
    pub fn begin(&self, invocation: Invocation) -> Pending {
        self.api.invoke(invocation)
    }

    /// Waits until the process requests its first invocation. Returns the time since its start.
    pub async fn until_ready(&self) -> Duration {
        eventually("it asks for an invocation", async || !self.api.asked().is_empty()).await;
        self.api.asked()[0] - self.begun
    }

    /// Returns its Runtime API.
    pub fn api(&self) -> &RuntimeApi {
        &self.api
    }

    /// Returns the log entries so far with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.stderr.logged(|text| text == message)
    }

    /// Returns all log entries so far.
    pub fn log(&self) -> Vec<Value> {
        self.stderr.logged(|_| true)
    }

    /// Returns its standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Returns its standard error so far, line by line.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Waits for the end of the process, which must end by itself.
    pub async fn finish(mut self) -> (Finished, RuntimeApi) {
        let Ok(status) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            panic!("it does not end");
        };
        // Its pipes close with it, so its output is complete when they have been read to the end.
        for reader in self.readers {
            reader.await.unwrap();
        }
        let status = status.unwrap().code();
        (Finished { status, stdout: self.stdout.all(), stderr: self.stderr.all() }, self.api)
    }
}
