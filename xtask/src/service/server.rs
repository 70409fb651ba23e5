//! A server as a child process: its output goes to a log, it counts as started when it responds, and dropping it stops it and
//! removes its files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crossbeam_channel::Receiver;
use tempfile::TempDir;

use super::docker::Container;
use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::project;

/// The time limit of a start: a cold start takes 1 to 3 s; a busy two-core machine or a container may need many times that.
const START_LIMIT: Duration = Duration::from_secs(90);
/// The pause between two attempts; short, because the tests wait meanwhile.
const PAUSE: Duration = Duration::from_millis(50);
/// The number of the log's last lines that explain a failed start.
const LOG_TAIL_LINES: usize = 20;

/// A running server.
pub(super) struct Server {
    // The fields are dropped in the order of stopping: the process, then its remains.
    process: Process,
    _container: Option<Container>,
    _files: TempDir,
    port: u16,
}

/// The resources of a server besides its command.
pub(super) struct Surroundings {
    /// The container that the command runs, if there is one.
    pub(super) container: Option<Container>,
    /// Its files, which are removed after its end.
    pub(super) files: TempDir,
    pub(super) port: u16,
}

impl Server {
    /// Returns when `probe` has succeeded; returns an error if the process ends or the time limit is reached.
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        around: Surroundings,
        log: &Log,
        probe: impl Fn() -> Result<()>,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        log.catch(command)?;
        let process = Process::spawn(name, command, interrupts)?;
        let Surroundings { container, files, port } = around;
        let mut server = Self { process, _container: container, _files: files, port };
        wait(&mut server.process, probe)
            .with_context(|| format!("{name} did not start; {}", log.explanation()))?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sets the signal that stops it instead of SIGTERM.
    pub(super) fn stopped_by(mut self, signal: rustix::process::Signal) -> Self {
        self.process.stop_by(signal);
        self
    }
}

fn wait(process: &mut Process, probe: impl Fn() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Some(status) = process.ended_within(PAUSE)? {
            bail!("it ended with {status}");
        }
        match probe() {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > START_LIMIT => {
                return Err(error).with_context(|| format!("not ready after {} s", START_LIMIT.as_secs()));
            }
            Err(_) => {} // Not listening yet, or still loading: the next attempt will show.
        }
    }
}

/// The log of a server's last start.
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Sends a command's output to the log.
    pub(super) fn catch(&self, command: &mut Command) -> Result<()> {
        command.stdout(Stdio::from(self.file.try_clone()?)).stderr(Stdio::from(self.file.try_clone()?));
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the end of the log, for an error text.
    pub(super) fn explanation(&self) -> String {
        format!("{} ends with\n{}", self.path.display(), tail(&self.path))
    }
}

fn tail(log: &Path) -> String {
    let Ok(file) = File::open(log) else { return "(no log)".to_owned() };
    let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// Returns the folder for all files of a server: its installation, its files while it runs, its log.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let folder = project::target().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Creates a folder for one run of a server.
pub(super) fn files(within: &Path) -> Result<TempDir> {
    TempDir::with_prefix_in("files-", within)
        .with_context(|| format!("cannot make a folder in {}", within.display()))
}

/// Returns a port that was free a moment ago, a different one each time, because several servers start concurrently. If another
/// process takes it first, the start fails, and the log shows why.
pub(super) fn free_port() -> Result<u16> {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("nothing panics while it is locked");
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
        let port = listener.local_addr()?.port();
        if !given.contains(&port) {
            given.push(port);
            return Ok(port);
        }
    }
}

/// Returns the URL of an HTTP server.
pub(super) fn http(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;
    use std::collections::HashSet;

    use anyhow::anyhow;
    use crossbeam_channel::never;

    use super::*;

    fn start(script: &str, probe: impl Fn() -> Result<()>) -> (TempDir, Result<Server>) {
        let folder = TempDir::new().unwrap();
        let log = Log::create(folder.path().join("log")).unwrap();
        let around = Surroundings { container: None, files: files(folder.path()).unwrap(), port: 1 };
        let server =
            Server::start("it", Command::new("sh").args(["-c", script]), around, &log, probe, &never());
        (folder, server)
    }

    #[test]
    fn a_server_is_asked_until_it_answers() {
        let asked = Cell::new(0);
        let (_folder, server) = start("sleep 600", || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(anyhow!("not yet")) } else { Ok(()) }
        });
        assert!(server.is_ok());
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn a_server_that_ends_is_explained_by_its_log() {
        let (_folder, server) = start("seq 30; echo out of luck >&2; exit 7", || Err(anyhow!("never")));
        let error = format!("{:#}", server.err().unwrap());
        assert!(error.contains("it did not start"), "{error}");
        assert!(error.contains("exit status: 7"), "{error}");
        assert!(error.contains("\n12\n") && error.contains("out of luck"), "{error}");
        assert!(!error.contains("\n11\n"), "{error}");
    }

    #[test]
    fn what_a_server_wrote_goes_with_it() {
        let (folder, server) = start("sleep 600", || Ok(()));
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(entries(), 2, "log and files");
        drop(server);
        assert_eq!(entries(), 1, "log");
    }

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }
}
