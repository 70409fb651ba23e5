//! Servers of shared stores that keep their data, so that a benchmark can stop, kill and restart them.
//!
//! Only programs on this machine: a signal cannot stop a process in a container.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crossbeam_channel::never;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::postgres::{self, account::Account};
use super::server::{self, Log};
use super::{programs, redis};
use crate::process::Process;

/// The time limit for a server's start or recovery.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(50);

/// Ports to be kept. Systems do not assign them to other sockets, unlike ports above 32,767.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// The kind of a shared store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Redis, or Valkey.
    Redis,
    /// `PostgreSQL`.
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A server whose data outlives its process.
pub struct LastingServer {
    kind: Kind,
    /// The program of Redis, or the folder of PostgreSQL's programs.
    installed: PathBuf,
    account: Option<Account>,
    // The fields are dropped in the order of stopping: the process, then its files.
    process: Option<Process>,
    files: TempDir,
    log: Log,
    port: u16,
}

impl LastingServer {
    /// Starts an empty server; `name` distinguishes its log from others.
    pub fn start(kind: Kind, name: &str) -> Result<Self> {
        let folder = server::folder("lasting")?;
        let (installed, account) = match kind {
            Kind::Redis => (programs::first(&redis::PROGRAMS, &programs::search_path()), None),
            Kind::Postgres => (postgres::find::programs(), postgres::account::needed()?),
        };
        let installed =
            installed.with_context(|| format!("{kind} is not installed; see `cargo xtask peers`"))?;
        let files = match account {
            Some(account) => account.files(&folder)?,
            None => server::files(&folder)?,
        };
        let log = Log::create(folder.join(format!("{name}.log")))?;
        if kind == Kind::Postgres {
            postgres::make(&installed, &files.path().join("data"), account, &log, &never())?;
        }
        let port = port_to_keep()?;
        let mut server = Self { kind, installed, account, process: None, files, log, port };
        server.restart()?;
        Ok(server)
    }

    /// Returns the URL of its store.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Redis => redis::url(self.port),
            Kind::Postgres => postgres::url(self.port),
        }
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::LOCALHOST, self.port)
    }

    /// Restarts it with its data, and returns when it responds.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = self.command();
        self.log.catch(&mut command)?;
        let mut process = Process::spawn(&self.kind.to_string(), &mut command, &never())?;
        process.stop_by(self.sudden());
        let started = Instant::now();
        loop {
            if let Some(status) = process.ended_within(PAUSE)? {
                bail!("{} ended with {status}; {}", self.kind, self.log.explanation());
            }
            let answer = match self.kind {
                Kind::Redis => redis::probe(self.port),
                Kind::Postgres => postgres::probe(self.port),
            };
            match answer {
                Ok(()) => break,
                Err(error) if started.elapsed() > START_LIMIT => return Err(error),
                Err(_) => {} // It does not listen yet, or recovers.
            }
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it. It must recover when it starts again.
    pub fn kill(&mut self) {
        // Dropping it sends the signal for an immediate end.
        self.process = None;
    }

    /// Freezes all its processes: connections stay open without a response.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets its processes continue.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the server does not run")?;
        // First the parent process, so that it cannot start further children.
        kill_process(process.id(), signal)?;
        for child in children(process.id())? {
            // A child that has ended meanwhile needs no signal.
            kill_process(child, signal).ok();
        }
        Ok(())
    }

    /// Returns the signal that ends it immediately. For PostgreSQL it is the "immediate shutdown": a kill would leave its other
    /// processes running for a moment, during which no other server can start with the same data.
    fn sudden(&self) -> Signal {
        match self.kind {
            Kind::Redis => Signal::KILL,
            Kind::Postgres => Signal::QUIT,
        }
    }

    /// Returns the usual command, with settings so that all confirmed writes survive the process.
    fn command(&self) -> Command {
        match self.kind {
            Kind::Redis => {
                let mut command = redis::run(&self.installed, self.files.path(), self.port);
                command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                command
            }
            Kind::Postgres => {
                let data = self.files.path().join("data");
                let mut command = postgres::run(&self.installed, &data, self.account, self.port);
                command.args(["-c", "synchronous_commit=on"]);
                command
            }
        }
    }
}

impl Drop for LastingServer {
    fn drop(&mut self) {
        if self.process.is_some() {
            // A stopped process reacts only to a kill.
            self.thaw().ok();
        }
    }
}

/// Returns a free port that is very likely still free when a server returns to it after an outage. Another process would soon
/// get a port that the system has chosen, and workers would mistake it for the server.
pub fn port_to_keep() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Other runs begin at other ports.
    let first = process::id().wrapping_mul(101);
    for _ in 0..count {
        let offset = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset).context("an offset within the range")?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("none of the ports {PORTS:?} is free")
}

/// Returns the processes that `parent` has started. PostgreSQL's processes lead their own sessions, so they are not in its
/// group.
fn children(parent: Pid) -> Result<Vec<Pid>> {
    let parent = parent.as_raw_nonzero().to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The name in parentheses may contain any character; the state and the parent's id follow it.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&*parent) {
            children.extend(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ports_to_keep_differ_and_are_not_the_system_s_to_give() {
        let (one, other) = (port_to_keep().unwrap(), port_to_keep().unwrap());
        assert_ne!(one, other);
        assert!(PORTS.contains(&one) && PORTS.contains(&other));
    }

    #[test]
    fn children_are_found_and_strangers_are_not() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let found = children(rustix::process::getpid()).unwrap();
        assert!(found.contains(&Pid::from_child(&child)));
        assert!(!found.contains(&rustix::process::getpid()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
