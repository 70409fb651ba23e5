//! Servers of a test, which it can stop.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::world::{Kind, variable};

/// A server with its own files, which outlive its process. Both are removed with the test.
pub struct Server {
    kind: Kind,
    program: PathBuf,
    /// The account under which it runs if the tests run as root.
    account: Option<(u32, u32)>,
    arguments: &'static [&'static str],
    files: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server of this kind, if its program is known and the tests can stop such servers.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    /// Starts a server with additional arguments.
    pub fn start_with(kind: Kind, arguments: &'static [&'static str]) -> Option<Self> {
        let (program, account) = match kind {
            #[cfg(feature = "redis")]
            Kind::Redis => (PathBuf::from(variable("DRUMLINE_TEST_REDIS_SERVER")?), None),
            #[cfg(feature = "postgres")]
            Kind::Postgres => (PathBuf::from(variable("DRUMLINE_TEST_POSTGRES_BIN")?), account()),
            _ => unreachable!("has no server that a test starts"),
        };
        let files = tempfile::tempdir_in("/tmp").unwrap();
        if let Some((uid, gid)) = account {
            chown(files.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut server = Self { kind, program, account, arguments, files, port: free_port(), process: None };
        #[cfg(feature = "postgres")]
        if kind == Kind::Postgres {
            let mut make = server.command("initdb");
            make.args(["--username=drumline", "--auth=trust", "--no-sync", "--pgdata"]).arg(server.data());
            assert!(make.status().unwrap().success(), "initdb failed");
        }
        server.start_again();
        Some(server)
    }

    /// Starts it again with its files.
    pub fn start_again(&mut self) {
        let mut command: Command = match self.kind {
            #[cfg(feature = "redis")]
            Kind::Redis => {
                let mut command = Command::new(&self.program);
                // Every answered write is on disk.
                command.args([
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    "yes",
                    "--appendfsync",
                    "always",
                ]);
                command.args(["--port", &self.port.to_string(), "--dir"]).arg(self.files.path());
                command
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                let mut command = self.command("postgres");
                command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
                command.args(["-c", "fsync=on", "-p", &self.port.to_string(), "-D"]).arg(self.data());
                command
            }
            _ => unreachable!("has no server that a test starts"),
        };
        let log = fs::File::create(self.files.path().join("log")).unwrap();
        let log_too = log.try_clone().unwrap();
        command.args(self.arguments);
        self.process = Some(command.stdin(Stdio::null()).stdout(log).stderr(log_too).spawn().unwrap());
    }

    /// Kills it: it cannot clean up, and must recover when it starts again.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let signal = match self.kind {
            // PostgreSQL's "immediate shutdown". A kill would leave its other processes running for a moment, during which no
            // server can start: "pre-existing shared memory block is still in use".
            #[cfg(feature = "postgres")]
            Kind::Postgres => Signal::QUIT,
            _ => Signal::KILL,
        };
        kill_process(Pid::from_child(&process), signal).unwrap();
        process.wait().unwrap();
    }

    /// Returns the port of its store.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        match self.kind {
            #[cfg(feature = "postgres")]
            Kind::Postgres => format!("postgres://drumline@127.0.0.1:{}/postgres", self.port),
            _ => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    #[cfg(feature = "postgres")]
    fn data(&self) -> PathBuf {
        self.files.path().join("data")
    }

    #[cfg(feature = "postgres")]
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(&self.program).join(program));
        command.current_dir(self.files.path()).stdout(Stdio::null());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    #[allow(clippy::print_stdout, reason = "the runner keeps it back unless the test fails")]
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.files.path().join("log"));
            println!("the last start of the server:\n{}", log.unwrap_or_default());
        }
    }
}

/// Returns `UID:GID`: PostgreSQL refuses to run as root.
#[cfg(feature = "postgres")]
fn account() -> Option<(u32, u32)> {
    let account = drumline_store::variable("DRUMLINE_TEST_POSTGRES_AS")?;
    let (uid, gid) = account.split_once(':').expect("DRUMLINE_TEST_POSTGRES_AS is UID:GID");
    Some((uid.parse().unwrap(), gid.parse().unwrap()))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
