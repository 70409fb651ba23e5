//! LocalStack, the reference for AWS's behaviour: in Docker if there is an engine, otherwise in a Python environment.

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

/// The installation of LocalStack, made once by [`prepare`], which may download it.
pub enum Installation {
    /// A Docker engine and the image to run.
    Docker {
        /// The image's name with the pinned version.
        image: String,
    },
    /// The Python of an environment with LocalStack.
    Python(PathBuf),
}

/// A running LocalStack on its own loopback port.
pub struct LocalStack {
    server: Server,
    runs_functions: bool,
}

/// Finds Docker or Python 3.13, and downloads LocalStack if it is missing.
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

/// Tests the package that runs Lambda functions, if `LocalStack` uses it.
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
    /// Starts LocalStack and returns when a queue could be created in it: its health page responds earlier, even if every call
    /// fails.
    pub fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let log = Log::create(log_file())?;
        let files = server::files(&server::folder(NAME)?)?;
        let port = server::free_port()?;
        // A container cannot reach the tests' own servers, and without the engine's socket no engine.
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

    /// Returns the endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        server::http(self.server.port())
    }

    /// Returns the variables for the tests; only LocalStack accepts these credentials.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            ("DRUMLINE_TEST_LOCALSTACK", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // A developer's own profile must have no effect.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ];
        if self.runs_functions {
            env.push(("DRUMLINE_TEST_LAMBDA", "1".to_owned()));
        }
        env
    }

    /// Returns the running process, to wait for it.
    pub fn process(&mut self) -> &mut Process {
        self.server.process()
    }
}

/// The name of folders and containers.
const NAME: &str = "localstack";

/// Returns the log of the last start.
pub fn log_file() -> PathBuf {
    project::target().join(NAME).join("log")
}
