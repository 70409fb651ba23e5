//! LocalStack, the reference for what AWS does: in Docker where an engine answers, else from a Python environment.

mod docker;
mod pins;
mod python;
mod ready;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;

use super::aws::REGION;
use super::docker::{self as engine, Container};
use super::server::{self, Log, Server, Surroundings};
use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::phase;
use crate::project;

/// What LocalStack runs on; made once by [`prepare`], which may download it.
pub enum Installation {
    /// A Docker engine, and the image that it runs.
    Docker {
        /// Its name, with the pinned version.
        image: String,
    },
    /// The Python of an environment that has it.
    Python(PathBuf),
}

/// A LocalStack that answers, on a loopback port of its own.
pub struct LocalStack {
    server: Server,
    runs_functions: bool,
}

/// Finds Docker or Python 3.13 and downloads LocalStack where it is missing.
pub fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    let folder = server::folder(NAME)?;
    phase("prepare LocalStack", || {
        if engine::answers(interrupts)? {
            let image = docker::pinned_image()?;
            println!("    with Docker: {image}");
            engine::pull(&image, interrupts)?;
            return Ok(Installation::Docker { image });
        }
        let python = python::find()?;
        println!("    with Python: {}", python.display());
        Ok(Installation::Python(python::environment(&python, &folder, interrupts)?))
    })
}

/// Tests the package that runs Lambda functions, where `LocalStack` uses it.
pub fn test_executor(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<()> {
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
    pub fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let log = Log::create(log_file())?;
        let files = server::files(&server::folder(NAME)?)?;
        let port = server::free_port()?;
        // A container reaches neither the tests' own servers nor, without the engine's socket, an engine.
        let runs_functions = matches!(installation, Installation::Python(_));
        let (mut command, container) = match installation {
            Installation::Docker { image } => {
                let container = Container::named_for(NAME, port);
                (docker::run(&container, image, port), Some(container))
            }
            Installation::Python(python) => (python::run(python, files.path(), port)?, None),
        };
        let around = Surroundings { container, files, port };

        phase("start LocalStack", || {
            let endpoint = server::http(port);
            let probe = || ready::probe(&endpoint);
            let server = Server::start("LocalStack", &mut command, around, &log, probe, interrupts)?;
            println!("    {endpoint} (log: {})", log.path().display());
            Ok(Self { server, runs_functions })
        })
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        server::http(self.server.port())
    }

    /// What the tests get to know; the credentials are LocalStack's own, accepted by it alone.
    pub fn env(&self) -> Vec<(&'static str, String)> {
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
    pub fn process(&mut self) -> &mut Process {
        self.server.process()
    }
}

/// In folders and containers.
const NAME: &str = "localstack";

/// The log of the last start.
pub fn log_file() -> PathBuf {
    project::target().join(NAME).join("log")
}
