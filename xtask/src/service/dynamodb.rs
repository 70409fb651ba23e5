//! `DynamoDB`, emulated by ministack in a Python environment. It also creates the stacks with tables, tasks or schedules, for
//! which `LocalStack` lacks features.
//!
//! It differs from AWS in ways that a test may not expect: expired items are removed within a minute instead of days, even if
//! their time is a string or more than five years in the past; setting the same time to live again is accepted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use crossbeam_channel::Receiver;

use super::aws::{self, REGION};
use super::pins;
use super::server::{self, Log, Server, Surroundings};
use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::phase;
use crate::{project, venv};

/// The name of folders.
const NAME: &str = "dynamodb";

/// The services that the stacks of `infra/cloudformation` with a table, a task or a schedule use.
const SERVICES: &str = "dynamodb,cloudformation,ec2,ecs,events,iam,logs,monitoring,scheduler,sns,sqs";

/// The Python of an environment with the emulator.
#[derive(Debug)]
pub(super) struct Installation {
    python: PathBuf,
}

/// A running emulator on its own loopback port.
pub(super) struct DynamoDb {
    server: Server,
}

/// Downloads the emulator if it is missing.
pub(super) fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    phase("prepare DynamoDB", || {
        let python = venv::python()?;
        println!("    with Python: {}", python.display());
        let pins = ["requirements.txt", "constraints.txt"].map(|name| pins::folder().join(name));
        let python = venv::make(&python, &server::folder(NAME)?, &pins, interrupts)?;
        Ok(Installation { python })
    })
}

impl DynamoDb {
    /// Starts the emulator, and returns when its tables could be listed: that loads services that its health page only assumes
    /// to work.
    pub(super) fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let folder = server::folder(NAME)?;
        let log = Log::create(folder.join("log"))?;
        let files = server::files(&folder)?;
        let port = server::free_port()?;
        let mut command = run(&installation.python, files.path(), port);
        let around = Surroundings { container: None, files, port };
        phase("start DynamoDB", || {
            let endpoint = server::http(port);
            let probe = || aws::call(&endpoint, NAME, "DynamoDB_20120810.ListTables", "{}");
            let server = Server::start("DynamoDB", &mut command, around, &log, probe, interrupts)?;
            println!("    {endpoint} (log: {})", log.path().display());
            Ok(Self { server })
        })
    }

    /// Returns the variables for the tests.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        vec![("DRUMLINE_TEST_DYNAMODB", server::http(self.server.port()))]
    }

    /// Returns the running process, to wait for it.
    pub(super) fn process(&mut self) -> &mut Process {
        self.server.process()
    }
}

/// Returns the command that runs the emulator in the foreground.
fn run(python: &Path, files: &Path, port: u16) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "ministack"]);
    project::forget_aws(&mut command);
    // Without this it would listen on every interface.
    command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
    command.env("MINISTACK_HOST", "127.0.0.1").env("MINISTACK_REGION", REGION);
    // Other emulators provide the other services; two of them listen on every interface, regardless of the settings.
    command.env("SERVICES", SERVICES).env("SFTP_ENABLED", "0").env("IOT_MTLS_ENABLED", "0");
    command.env("PERSIST_STATE", "0").env("TMPDIR", files);
    command
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn it_listens_on_loopback_and_serves_what_stacks_need() {
        let command = run(Path::new("python"), Path::new("files"), 4570);
        let variable = |name: &str| {
            let found = command.get_envs().find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value).and_then(OsStr::to_str)
        };
        assert_eq!(variable("BIND_HOST"), Some("127.0.0.1"));
        assert_eq!(variable("GATEWAY_PORT"), Some("4570"));
        assert_eq!(variable("SERVICES"), Some(SERVICES));
        assert_eq!(variable("IOT_MTLS_ENABLED"), Some("0"));
        assert_eq!(variable("TMPDIR"), Some("files"));
    }
}
