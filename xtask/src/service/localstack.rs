//! LocalStack, the reference for what AWS does: in Docker where an engine answers, else from a Python environment.

mod docker;
mod python;
mod ready;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use crossbeam_channel::Receiver;
use tempfile::TempDir;

use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::phase;
use crate::project;

/// How many of the log's last lines explain a failed start.
const LOG_TAIL_LINES: usize = 20;

/// What LocalStack runs on; made once by [`prepare`], which may download it.
pub(crate) enum Installation {
    Docker { image: String },
    Python(PathBuf),
}

/// A LocalStack that answers, on a loopback port of its own.
pub(crate) struct LocalStack {
    // The order is the order of stopping: the process, then what it leaves behind.
    process: Process,
    _container: Option<docker::Container>,
    _files: TempDir,
    port: u16,
    runs_functions: bool,
}

/// Finds Docker or Python 3.13 and downloads LocalStack where it is missing.
pub(crate) fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    fs::create_dir_all(folder())?;
    phase("prepare LocalStack", || {
        if docker::answers(interrupts)? {
            let image = docker::pinned_image()?;
            println!("    with Docker: {image}");
            docker::pull(&image, interrupts)?;
            return Ok(Installation::Docker { image });
        }
        let python = python::find()?;
        println!("    with Python: {}", python.display());
        Ok(Installation::Python(python::environment(&python, &folder(), interrupts)?))
    })
}

/// Tests the package that runs Lambda functions, where `LocalStack` uses it.
pub(crate) fn test_executor(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let Installation::Python(python) = installation else {
        println!(
            "==> no Lambda functions in Docker's LocalStack: the tests that deploy one leave themselves out"
        );
        return Ok(());
    };
    phase("test LocalStack's executor of functions", || {
        let mut tests = python::executor_tests(python);
        let status = Process::spawn("python -m unittest", &mut tests, interrupts)?.wait()?;
        ensure!(status.success(), "the tests of infra/localstack/executor failed");
        Ok(())
    })
}

impl LocalStack {
    /// Starts LocalStack and returns once a queue could be created in it: its health page answers earlier, and
    /// also when every call fails.
    pub(crate) fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let log = log_file();
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let files = TempDir::with_prefix_in("files-", folder())?;
        let port = free_port()?;
        // A container reaches neither the tests' own servers nor, without the engine's socket, an engine.
        let runs_functions = matches!(installation, Installation::Python(_));
        let (mut command, container) = match installation {
            Installation::Docker { image } => {
                let container = docker::Container::named_for(port);
                (container.run(image, port), Some(container))
            }
            Installation::Python(python) => (python::run(python, files.path(), port)?, None),
        };
        command.stdout(Stdio::from(output.try_clone()?)).stderr(Stdio::from(output));

        phase("start LocalStack", || {
            let mut process = Process::spawn("LocalStack", &mut command, interrupts)?;
            ready::wait(&mut process, port).with_context(|| {
                format!("LocalStack did not start; {} ends with\n{}", log.display(), tail(&log))
            })?;
            println!("    {} (log: {})", endpoint(port), log.display());
            Ok(Self { process, _container: container, _files: files, port, runs_functions })
        })
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// What the tests get to know; the credentials are LocalStack's own, accepted by it alone.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            ("DRUMLINE_TEST_LOCALSTACK", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // A developer's own profile must not decide anything.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ];
        if self.runs_functions {
            env.push(("DRUMLINE_TEST_LAMBDA", "1".to_owned()));
        }
        env
    }

    /// The running process, to wait on.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

const REGION: &str = "eu-central-1";

/// Everything LocalStack has on disk: its environment, its files while it runs, its log.
fn folder() -> PathBuf {
    project::target().join("localstack")
}

/// The log of the last start.
pub(crate) fn log_file() -> PathBuf {
    folder().join("log")
}

/// The folder of this repository that pins LocalStack's version and settings.
fn pins() -> PathBuf {
    project::root().join("infra/localstack")
}

fn endpoint(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// A port that was free a moment ago; a start that loses it to somebody else fails and says so in the log.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

fn tail(log: &Path) -> String {
    let Ok(file) = File::open(log) else { return "(no log)".to_owned() };
    let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
