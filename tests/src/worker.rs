//! The `drumline` binary as a process, with a separate environment, real signals, and its log read line by line.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::binary::binary;
use crate::eventually::{PATIENCE, eventually};
use crate::http::get;
use crate::local_queue::LocalQueue;
use crate::output::{Lines, ShownOnFailure, entries};
use crate::queues::{REGION, TestQueue, localstack};

/// The behaviour of the reader of standard output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Reads,
    HasLeft,
    Stalls,
}

/// A start of the binary that is being prepared. The test's own environment does not reach it.
pub struct Launch {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    input: Vec<u8>,
    http: Option<SocketAddr>,
    home: TempDir,
    binary: Option<PathBuf>,
    script: Option<String>,
    reader: Reader,
}

impl Launch {
    /// Returns `drumline ARGS…` with only LocalStack's credentials.
    pub fn new(args: &[&str]) -> Self {
        let launch = Self {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::new(),
            input: Vec::new(),
            http: None,
            home: tempfile::tempdir().unwrap(),
            binary: None,
            script: None,
            reader: Reader::Reads,
        };
        let home = launch.home.path().display().to_string();
        // The client of `cargo xtask test --sqs-client`; most tests do not depend on the client.
        let launch = match sqs_client() {
            Some(client) => launch.env("DRUMLINE_SQS_CLIENT", &client),
            None => launch,
        };
        launch
            .env("HOME", &home)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("DRUMLINE_HTTP_ADDR", "off")
            .env("DRUMLINE_SAMPLE_JOBS", "on")
            .env("RUST_BACKTRACE", "1")
    }

    /// Returns a worker on `queue` that soon notices a stop, serves its metrics, and retries soon and without jitter.
    pub fn run(queue: &TestQueue) -> Self {
        Self::run_at(&queue.url).env("AWS_ENDPOINT_URL", &localstack())
    }

    /// Does the same for a queue that the test serves.
    pub fn on(queue: &LocalQueue) -> Self {
        let launch = Self::run_at(&queue.url);
        launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url())
    }

    fn run_at(queue_url: &str) -> Self {
        let addr = free_address();
        let launch = Self::new(&["run"])
            .env("DRUMLINE_QUEUE_URL", queue_url)
            .env("DRUMLINE_WAIT_TIME", "1s")
            .env("DRUMLINE_RETRY", "exponential(1s,2,5m)")
            .env("DRUMLINE_RETRY_JITTER", "none")
            .env("DRUMLINE_LOG", "info,drumline_runtime=debug")
            .env("DRUMLINE_HTTP_ADDR", &addr.to_string());
        Self { http: Some(addr), ..launch }
    }

    /// Adds an HTTP endpoint at a free address.
    pub fn serving(self) -> Self {
        let addr = free_address();
        Self { http: Some(addr), ..self.env("DRUMLINE_HTTP_ADDR", &addr.to_string()) }
    }

    /// Sets another program with the same commands and its own handlers.
    pub fn program(self, binary: PathBuf) -> Self {
        Self { binary: Some(binary), ..self.without("DRUMLINE_SAMPLE_JOBS") }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Sets the content of standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Limits the number of file descriptors.
    pub fn descriptors(self, limit: u32) -> Self {
        self.shell(&format!("ulimit -n {limit} && exec \"$0\" \"$@\""))
    }

    /// Starts it from this shell script, as `"$0" "$@"`.
    pub fn shell(self, script: &str) -> Self {
        Self { script: Some(script.to_owned()), ..self }
    }

    /// Limits the size of files to this many KiB, as on a disk that is nearly full.
    pub fn largest_file(self, kib: u32) -> Self {
        // In blocks of 512 bytes, and without the signal that would kill the process.
        self.shell(&format!("trap '' XFSZ && ulimit -f {} && exec \"$0\" \"$@\"", kib * 2))
    }

    /// Sets a standard output whose reader has ended, like `head` after its last line.
    pub fn without_reader(self) -> Self {
        Self { reader: Reader::HasLeft, ..self }
    }

    /// Sets a standard output that is full, and whose reader stalls until the [`Worker`] is dropped.
    pub fn with_stalled_reader(self) -> Self {
        Self { reader: Reader::Stalls, ..self }
    }

    /// Returns the address of its HTTP endpoint.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.expect("its HTTP endpoint is on")
    }

    /// Returns the folder that the process uses as its home, and in which it runs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts the process.
    pub fn spawn(self) -> Worker {
        let program = self.binary.unwrap_or_else(|| binary("drumline-cli", "drumline"));
        let mut command = match self.script {
            Some(script) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &script]).arg(program);
                shell
            }
            None => Command::new(program),
        };
        command.args(&self.args).env_clear().envs(&self.env).current_dir(self.home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut stalled = None;
        if self.reader != Reader::Reads {
            let (reader, writer) = std::io::pipe().unwrap();
            if self.reader == Reader::Stalls {
                fill(&writer);
                stalled = Some(reader);
            }
            command.stdout(writer);
        }
        let mut child = command.spawn().unwrap();
        // This process also has the writing end of such a pipe.
        drop(command);
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = child.stdout.take().map(|pipe| stdout.follow(pipe));
        let readers =
            readers.into_iter().chain(child.stderr.take().map(|pipe| stderr.follow(pipe))).collect();
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = self.input;
        // A process that does not read its input closes it. The test checks its output.
        tokio::spawn(async move { drop(stdin.write_all(&input).await) });
        let log = ShownOnFailure(stderr.clone());
        Worker {
            child,
            stdout,
            stderr,
            readers,
            http: self.http,
            _home: self.home,
            _log: log,
            _stalled: stalled,
        }
    }

    /// Starts the process and waits for its end.
    pub async fn finish(self) -> Finished {
        self.spawn().finish().await
    }
}

/// A running process. It is killed when dropped.
pub struct Worker {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
    http: Option<SocketAddr>,
    _home: TempDir,
    _log: ShownOnFailure,
    _stalled: Option<PipeReader>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status. `None` if a signal ended it.
    pub status: Option<i32>,
    /// The lines of its standard output.
    pub stdout: Vec<String>,
    /// The lines of its standard error.
    pub stderr: Vec<String>,
}

impl Finished {
    /// Returns its standard error as one text.
    pub fn errors(&self) -> String {
        self.stderr.join("\n")
    }
}

/// Fills a pipe that has no active reader.
fn fill(pipe: &PipeWriter) {
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    // Single bytes, so that no room is left in the end.
    let mut filler = pipe;
    while filler.write(b"-").is_ok() {}
    fcntl_setfl(pipe, flags).unwrap();
}

/// Sends a signal to a process that has not ended.
pub(crate) fn send_signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("it has not ended");
    kill_process(Pid::from_raw(id).expect("an id is not 0"), signal).unwrap();
}

impl Worker {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Returns its peak memory so far, in KiB. `None` after it has ended.
    #[cfg(target_os = "linux")]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Kills the process: no signal handler runs, and no message is released.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Kills the process, and returns its standard output.
    pub async fn kill_and_read(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        for reader in self.readers {
            reader.await.unwrap();
        }
        self.stdout.all()
    }

    /// Stops the process by SIGTERM and expects a clean end.
    pub async fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        let finished = self.finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        finished
    }

    /// Waits for the end of the process.
    pub async fn finish(self) -> Finished {
        self.finish_within(PATIENCE).await
    }

    /// Waits for the end of a process that may take longer.
    pub async fn finish_within(mut self, patience: Duration) -> Finished {
        let Ok(status) = tokio::time::timeout(patience, self.child.wait()).await else {
            panic!("it does not end:\n{}", self.stderr.all().join("\n"));
        };
        // Its pipes close with it, so its output is complete when they have been read to the end.
        for reader in self.readers {
            reader.await.unwrap();
        }
        Finished { status: status.unwrap().code(), stdout: self.stdout.all(), stderr: self.stderr.all() }
    }

    /// Returns its standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Returns its standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Returns the log entries so far with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.stderr.logged(|text| text == message)
    }

    /// Returns the log entries so far whose message begins like this.
    pub fn logged_beginning(&self, beginning: &str) -> Vec<Value> {
        self.stderr.logged(|message| message.starts_with(beginning))
    }

    /// Waits until `count` log entries with this message are there.
    pub async fn until_logged(&self, message: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{message:?} is logged {count} times"), async || {
            self.logged(message).len() >= count
        })
        .await;
        self.logged(message)
    }

    /// Returns a URL of its HTTP endpoint.
    pub fn endpoint(&self, path: &str) -> String {
        format!("http://{}{path}", self.http.expect("its HTTP endpoint is on"))
    }

    /// Returns the value of a counter or gauge by the beginning of its line: its name, with labels as far as they matter. Lines
    /// are summed; without any the result is 0.
    pub async fn metric(&self, beginning: &str) -> u64 {
        let Some((_, text)) = get(&self.endpoint("/metrics")).await else { return 0 };
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

impl Finished {
    /// Returns the log entries with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        entries(&self.stderr, |text| text == message)
    }
}

/// Ports for servers of processes that are about to start. Below those that systems use for outgoing connections, of which the
/// tests open many.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// The number of ports given out, from a random one on.
static GIVEN_OUT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(PORTS) - PORTS.start));

/// Returns an unused address of the loopback interface. Each test of a process gets another one: an address at which nothing answers
/// stays so.
pub fn free_address() -> SocketAddr {
    let size = PORTS.end - PORTS.start;
    let next = || PORTS.start + GIVEN_OUT.fetch_add(1, Ordering::Relaxed) % size;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = std::iter::repeat_with(next).find(free).expect("it goes on until it finds one");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Returns the client chosen by `cargo xtask test --sqs-client`.
#[allow(clippy::disallowed_methods, reason = "what a test run passes to its tests")]
fn sqs_client() -> Option<String> {
    std::env::var("DRUMLINE_TEST_SQS_CLIENT").ok()
}
