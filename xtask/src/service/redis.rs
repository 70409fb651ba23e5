//! Redis, or Valkey, which has the same protocol: the machine's installation, otherwise in Docker.
//!
//! It keeps nothing on disk. Tests share it, so each uses its own keys.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;

use super::docker::{self, Container};
use super::pins;
use super::programs;
use super::server::{self, Log, Server, Surroundings};
use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::phase;

/// The name of folders and containers, and in the compose file.
const NAME: &str = "redis";
pub(super) const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// The program in the image that the compose file names.
const IMAGE_PROGRAM: &str = "valkey-server";
/// The server's port inside the container.
const INNER_PORT: u16 = 6379;
/// No snapshots and no append-only file: no data needs to outlive it.
const SETTINGS: [&str; 4] = ["--save", "", "--appendonly", "no"];
/// The time limit of a response: a running server responds in well under a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The installation of Redis.
#[derive(Debug)]
pub(super) enum Installation {
    Docker { image: String },
    Program(PathBuf),
}

/// A running Redis on its own loopback port.
pub(super) struct Redis {
    server: Server,
    program: Option<PathBuf>,
}

/// Finds a server on the search path, or downloads an image for Docker.
pub(super) fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installation> {
    phase("prepare Redis", || {
        if let Some(program) = programs::first(&PROGRAMS, &programs::search_path()) {
            println!("    with {}", program.display());
            return Ok(Installation::Program(program));
        }
        if docker::answers(interrupts)? {
            let image = docker::pinned_image(&pins::folder().join("compose.yaml"), NAME)?;
            println!("    with Docker: {image}");
            docker::pull(&image, interrupts)?;
            return Ok(Installation::Docker { image });
        }
        bail!(
            "the tests need one of two things, and this machine has neither:\n\
             - Redis or Valkey, as `redis-server` or `valkey-server` on the search path, or\n\
             - a Docker engine (`docker info` must succeed).\n\
             Debian: apt-get install redis-server. Homebrew: brew install redis.\n\
             `cargo xtask test --quick` runs the tests that need no services."
        )
    })
}

impl Redis {
    /// Starts a server and returns when it has responded to a PING.
    pub(super) fn start(installation: &Installation, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let folder = server::folder(NAME)?;
        let log = Log::create(folder.join("log"))?;
        let files = server::files(&folder)?;
        let port = server::free_port()?;
        let (mut command, container, program) = match installation {
            Installation::Docker { image } => {
                let container = Container::named_for(NAME, port);
                (in_docker(&container, image, port), Some(container), None)
            }
            Installation::Program(program) => (run(program, files.path(), port), None, Some(program.clone())),
        };
        let around = Surroundings { container, files, port };
        phase("start Redis", || {
            let server = Server::start("Redis", &mut command, around, &log, || probe(port), interrupts)?;
            println!("    {} (log: {})", url(port), log.path().display());
            Ok(Self { server, program })
        })
    }

    /// Returns the variables for the tests.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![("DRUMLINE_TEST_REDIS", url(self.server.port()))];
        if let Some(program) = &self.program {
            env.push(("DRUMLINE_TEST_REDIS_SERVER", program.display().to_string()));
        }
        env
    }

    /// Returns the running process, to wait for it.
    pub(super) fn process(&mut self) -> &mut Process {
        self.server.process()
    }
}

pub(super) fn url(port: u16) -> String {
    format!("redis://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// Returns the command that runs a server in the foreground.
pub(super) fn run(program: &Path, files: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(SETTINGS).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.arg("--dir").arg(files);
    command
}

fn in_docker(container: &Container, image: &str, port: u16) -> Command {
    let mut command = container.run(port, INNER_PORT);
    command.args([image, IMAGE_PROGRAM]).args(SETTINGS);
    // Inside a container, clients come from the bridge and not from loopback.
    command.args(["--protected-mode", "no"]);
    command
}

pub(super) fn probe(port: u16) -> Result<()> {
    const PONG: &[u8] = b"+PONG\r\n";
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).context("cannot connect")?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer).context("PING got no answer")?;
    ensure!(answer == PONG, "PING was answered {:?}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn arguments(command: &Command) -> Vec<&str> {
        command.get_args().map(|argument| argument.to_str().unwrap()).collect()
    }

    #[test]
    fn it_listens_on_loopback_and_keeps_nothing() {
        let command = run(Path::new("redis-server"), Path::new("files"), 6400);
        let expected =
            ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", "6400", "--dir", "files"];
        assert_eq!(arguments(&command), expected);
    }

    #[test]
    fn in_docker_it_keeps_nothing_either() {
        let image = docker::pinned_image(&pins::folder().join("compose.yaml"), NAME).unwrap();
        // Not dropped: no container with this name exists, and perhaps no Docker.
        let container = std::mem::ManuallyDrop::new(Container::named_for(NAME, 6400));
        let command = in_docker(&container, &image, 6400);
        let arguments = arguments(&command);
        assert!(arguments.contains(&"127.0.0.1:6400:6379"));
        let inner = arguments.iter().position(|argument| *argument == image).unwrap() + 1;
        let expected = ["valkey-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"];
        assert_eq!(&arguments[inner..], expected);
    }

    /// Probes a server that gives this response to the first request.
    fn probe_of(answer: &'static [u8]) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; "PING\r\n".len()]).unwrap();
            stream.write_all(answer).unwrap();
        });
        let result = probe(port);
        server.join().unwrap();
        result
    }

    #[test]
    fn only_a_pong_is_an_answer() {
        probe_of(b"+PONG\r\n").unwrap();
        let error = probe_of(b"-LOADING Redis is loading\r\n").unwrap_err();
        assert!(error.to_string().contains("-LOADI"), "{error:#}");
        assert!(probe_of(b"").is_err());
    }
}
