//! PostgreSQL: the machine's installation, otherwise in Docker.
//!
//! Its settings are for speed, not for surviving a crash of the machine. Tests share it, so each uses its own database or
//! tables; the user has all rights.

pub(super) mod account;
pub(super) mod find;
mod ready;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use crossbeam_channel::Receiver;
use rustix::process::Signal;

use self::account::Account;
use super::docker::{self, Container};
use super::pins;
use super::server::{self, Log, Server, Surroundings};
use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::phase;

/// The name of folders and containers, and in the compose file.
const NAME: &str = "postgres";
const USER: &str = "drumline";
/// The database that every new server has.
const DATABASE: &str = "postgres";
/// The server's port inside the container.
const INNER_PORT: u16 = 5432;
/// No waits for the disk, and room for the connections of many concurrent tests.
const SETTINGS: [&str; 4] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"];

/// The installation of PostgreSQL.
#[derive(Debug)]
pub(super) enum Installation {
    Docker {
        image: String,
    },
    Programs {
        /// The folder of `initdb` and `postgres`.
        folder: PathBuf,
        /// The account under which they run, if this process runs as root.
        account: Option<Account>,
    },
}

/// A running PostgreSQL on its own loopback port.
pub(super) struct Postgres {
    server: Server,
    /// The programs for tests that start their own servers.
    programs: Option<(PathBuf, Option<Account>)>,
}

/// Finds a server in the usual places, or downloads an image for Docker.
pub(super) fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    phase("prepare PostgreSQL", || {
        if let Some(folder) = find::programs() {
            println!("    with {}", folder.display());
            return Ok(Installation::Programs { folder, account: account::needed()? });
        }
        if docker::answers(interrupts)? {
            let image = docker::pinned_image(&pins::folder().join("compose.yaml"), NAME)?;
            println!("    with Docker: {image}");
            docker::pull(&image, interrupts)?;
            return Ok(Installation::Docker { image });
        }
        bail!(
            "the tests need one of two things, and this machine has neither:\n\
             - PostgreSQL's server, `initdb` and `postgres` on the search path or where packages put them, or\n\
             - a Docker engine (`docker info` must succeed).\n\
             Debian: apt-get install postgresql. Homebrew: brew install postgresql@17.\n\
             `cargo xtask test --quick` runs the tests that need no services."
        )
    })
}

impl Postgres {
    /// Creates a new, empty server, and returns when it has responded to a query.
    pub(super) fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let folder = server::folder(NAME)?;
        let log = Log::create(folder.join("log"))?;
        let port = server::free_port()?;
        phase("start PostgreSQL", || {
            let (mut command, around, programs) = match installation {
                Installation::Docker { image } => {
                    let container = Container::named_for(NAME, port);
                    let command = in_docker(&container, image, port);
                    let files = server::files(&folder)?;
                    (command, Surroundings { container: Some(container), files, port }, None)
                }
                Installation::Programs { folder: programs, account } => {
                    let files = match account {
                        Some(account) => account.files(&folder)?,
                        None => server::files(&folder)?,
                    };
                    let data = files.path().join("data");
                    make(programs, &data, *account, &log, interrupts)?;
                    let command = run(programs, &data, *account, port);
                    let programs_of_tests = Some((programs.clone(), *account));
                    (command, Surroundings { container: None, files, port }, programs_of_tests)
                }
            };
            let server = Server::start("PostgreSQL", &mut command, around, &log, || probe(port), interrupts)?
                // SIGTERM waits for the clients to leave; this signal does not.
                .stopped_by(Signal::INT);
            println!("    {} (log: {})", url(port), log.path().display());
            Ok(Self { server, programs })
        })
    }

    /// Returns the variables for the tests.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![("DRUMLINE_TEST_POSTGRES", url(self.server.port()))];
        if let Some((folder, account)) = &self.programs {
            env.push(("DRUMLINE_TEST_POSTGRES_BIN", folder.display().to_string()));
            if let Some(account) = account {
                env.push(("DRUMLINE_TEST_POSTGRES_AS", account.to_string()));
            }
        }
        env
    }

    /// Returns the running process, to wait for it.
    pub(super) fn process(&mut self) -> &mut Process {
        self.server.process()
    }
}

pub(super) fn url(port: u16) -> String {
    format!("postgres://{USER}@{}:{port}/{DATABASE}", Ipv4Addr::LOCALHOST)
}

/// Returns an error unless the server at `port` responds to a query.
pub(super) fn probe(port: u16) -> Result<()> {
    ready::probe(port, USER, DATABASE)
}

/// Creates the files of a new server.
pub(super) fn make(
    programs: &Path,
    data: &Path,
    account: Option<Account>,
    log: &Log,
    interrupts: &Receiver<Interrupted>,
) -> Result<()> {
    let mut command = initdb(programs, data, account);
    log.catch(&mut command)?;
    let status = Process::spawn("initdb", &mut command, interrupts)?.wait()?;
    ensure!(status.success(), "initdb failed with {status}; {}", log.explanation());
    Ok(())
}

fn initdb(programs: &Path, data: &Path, account: Option<Account>) -> Command {
    let mut command = program(programs, "initdb", account);
    command.args(["--auth=trust", "--username", USER, "--encoding=UTF8", "--locale=C", "--no-sync"]);
    command.arg("--pgdata").arg(data);
    command
}

/// Returns the command that runs a server in the foreground.
pub(super) fn run(programs: &Path, data: &Path, account: Option<Account>, port: u16) -> Command {
    let mut command = program(programs, "postgres", account);
    command.arg("-D").arg(data);
    let port = format!("port={port}");
    let reached_by = ["listen_addresses=127.0.0.1", "unix_socket_directories=", &port];
    command.args(SETTINGS.iter().chain(&reached_by).flat_map(|setting| ["-c", setting]));
    command
}

fn program(programs: &Path, name: &str, account: Option<Account>) -> Command {
    let mut command = Command::new(programs.join(name));
    // The machine's own locale may not be installed.
    command.env("LC_ALL", "C");
    if let Some(account) = account {
        account.run(&mut command);
    }
    command
}

fn in_docker(container: &Container, image: &str, port: u16) -> Command {
    let mut command = container.run(port, INNER_PORT);
    command.args(["--env", &format!("POSTGRES_USER={USER}"), "--env", "POSTGRES_HOST_AUTH_METHOD=trust"]);
    command.args([image, "postgres"]).args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn arguments(command: &Command) -> Vec<&str> {
        command.get_args().map(|argument| argument.to_str().unwrap()).collect()
    }

    #[test]
    fn it_listens_on_loopback_and_makes_no_socket_file() {
        let command = run(Path::new("bin"), Path::new("data"), None, 5433);
        assert_eq!(command.get_program(), "bin/postgres");
        let arguments = arguments(&command);
        assert_eq!(arguments[..2], ["-D", "data"]);
        assert!(arguments[2..].chunks(2).all(|pair| pair[0] == "-c"));
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "port=5433", "fsync=off"] {
            assert!(arguments.contains(&setting), "{setting}");
        }
    }

    #[test]
    fn its_files_are_made_for_the_user_of_its_url() {
        let command = initdb(Path::new("bin"), Path::new("data"), None);
        let arguments = arguments(&command);
        let user = arguments.iter().position(|argument| *argument == "--username").unwrap();
        assert_eq!(url(5433), format!("postgres://{}@127.0.0.1:5433/postgres", arguments[user + 1]));
    }

    #[test]
    fn in_docker_it_has_the_same_user_and_speed() {
        let image = docker::pinned_image(&pins::folder().join("compose.yaml"), NAME).unwrap();
        // Not dropped: no container with this name exists, and perhaps no Docker.
        let container = std::mem::ManuallyDrop::new(Container::named_for(NAME, 5433));
        let command = in_docker(&container, &image, 5433);
        let arguments = arguments(&command);
        assert!(arguments.contains(&"127.0.0.1:5433:5432"));
        assert!(arguments.contains(&"POSTGRES_USER=drumline"));
        let inner = arguments.iter().position(|argument| *argument == image).unwrap() + 1;
        assert_eq!(arguments[inner], "postgres");
        assert!(arguments[inner..].contains(&"fsync=off"));
    }
}
