//! The queue server that fails on command (`tests/src/bin/fault_queue.rs`), in a separate process, and its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use crossbeam_channel::never;
use serde_json::{Value, json};

use crate::programs::Profile;
use xtask::process::Process;

/// The program's name.
pub(super) const PROGRAM: &str = "fault_queue";

/// A placeholder for all actions instead of one action's name.
pub(crate) const EVERY_ACTION: &str = "*";

/// A way in which requests fail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Status 500.
    Internal,
    /// The connection is reset before SQS sees the request.
    Dropped,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Dropped => "dropped",
        }
    }
}

/// The server with one queue and its DLQ. It ends with this value.
pub(crate) struct FaultQueue {
    pub(crate) endpoint: String,
    pub(crate) url: String,
    dead_url: String,
    control: Mutex<BufReader<TcpStream>>,
    _process: Process,
}

impl FaultQueue {
    pub(crate) fn start(profile: Profile, max_receive_count: u32, visibility_secs: u32) -> Result<Self> {
        let (output, input) = io::pipe()?;
        let mut command = Command::new(profile.binary(PROGRAM));
        command.stdout(input);
        let mut process = Process::spawn(PROGRAM, &mut command, &never())?;
        process.stop_by(rustix::process::Signal::KILL);
        // This end of the pipe is closed, so that reading ends if the server does not start.
        drop(command);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (endpoint, control) =
            line.trim_end().split_once(' ').context("the queue server did not start")?;
        let control = TcpStream::connect(control)?;
        control.set_nodelay(true)?;
        let mut queue = Self {
            endpoint: endpoint.to_owned(),
            url: String::new(),
            dead_url: String::new(),
            control: Mutex::new(BufReader::new(control)),
            _process: process,
        };
        let created = queue.ask(&json!({
            "command": "create",
            "name": "jobs",
            "max_receive_count": max_receive_count,
            "visibility_secs": visibility_secs,
        }))?;
        let url = |name: &str| created[name].as_str().map(str::to_owned).context("no URL of a queue");
        (queue.url, queue.dead_url) = (url("url")?, url("dead_url")?);
        Ok(queue)
    }

    pub(crate) fn send(&self, bodies: &[String]) -> Result<()> {
        /// The number of messages in a command, so that its line has at most some hundred kilobytes.
        const CHUNK: usize = 2000;
        for bodies in bodies.chunks(CHUNK) {
            self.ask(&json!({ "command": "send", "url": self.url, "bodies": bodies }))?;
        }
        Ok(())
    }

    /// Counts the messages of the queue: visible, in flight or delayed.
    pub(crate) fn count(&self) -> Result<u64> {
        self.count_of(&self.url)
    }

    /// Counts the messages in the DLQ.
    pub(crate) fn dead(&self) -> Result<u64> {
        self.count_of(&self.dead_url)
    }

    /// Returns the bodies of the messages in the DLQ.
    pub(crate) fn dead_bodies(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.ask(&json!({ "command": "peek", "url": self.dead_url }))?)?)
    }

    /// Lets `percent` of a hundred requests of an action fail.
    pub(crate) fn fail(&self, action: &str, fault: Fault, percent: u8) -> Result<()> {
        let (command, fault) = ("fail", fault.word());
        let command = json!({ "command": command, "action": action, "fault": fault, "percent": percent });
        self.ask(&command).map(drop)
    }

    /// Lets requests of an action through again.
    pub(crate) fn heal(&self, action: &str) -> Result<()> {
        self.ask(&json!({ "command": "heal", "action": action })).map(drop)
    }

    fn count_of(&self, url: &str) -> Result<u64> {
        self.ask(&json!({ "command": "count", "url": url }))?.as_u64().context("no number of messages")
    }

    fn ask(&self, command: &Value) -> Result<Value> {
        let mut control = self.control.lock().expect("nothing panics while it is locked");
        control.get_mut().write_all(format!("{command}\n").as_bytes())?;
        let mut line = String::new();
        if control.read_line(&mut line)? == 0 {
            bail!("the queue server has ended");
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => bail!("the queue server refused {}: {error}", command["command"]),
            None => Ok(answer),
        }
    }
}
