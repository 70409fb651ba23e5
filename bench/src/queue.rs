//! The queue that all workers drain: `bench/examples/bench_queue.rs` in a separate process, and its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;

use xtask::interrupt::Interrupted;
use xtask::process::Process;

use crate::cores;
use crate::programs::Profile;
use crate::usage::on_core;

pub(super) const PROGRAM: &str = "bench_queue";

/// The time limit of a command, after which the worker counts as stuck: a million messages at a tenth of the usual speed.
const PATIENCE: Duration = Duration::from_secs(300);

/// The interval at which interruptions are checked while a response is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// The server and its one queue. It ends with this value.
pub(super) struct Queue {
    pub(super) url: String,
    control: BufReader<TcpStream>,
    interrupts: Receiver<Interrupted>,
    _process: Process,
}

impl Queue {
    pub(super) fn start(interrupts: &Receiver<Interrupted>) -> Result<Self> {
        Self::start_build(Profile::Dist, interrupts)
    }

    /// Starts the server with this profile.
    pub(super) fn start_build(profile: Profile, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        Self::spawn(Command::new(profile.example(PROGRAM)), interrupts)
    }

    /// Starts a server that delays each response, unless the delay is zero.
    pub(super) fn start_delayed(delay: Duration, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let mut command = Command::new(Profile::Dist.example(PROGRAM));
        if !delay.is_zero() {
            command.arg(delay.as_millis().to_string());
        }
        Self::spawn(command, interrupts)
    }

    /// Starts the server with this command.
    pub(super) fn spawn(mut command: Command, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let (output, input) = io::pipe()?;
        command.stdout(input);
        let process = on_core(cores::SERVER, || Process::spawn(PROGRAM, &mut command, interrupts))?;
        // This end of the pipe is closed, so that reading ends if the server does not start.
        drop(command);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (url, control) =
            line.trim_end().split_once(' ').context("the benchmark's queue did not start")?;
        let control = TcpStream::connect(control)?;
        control.set_nodelay(true)?;
        control.set_read_timeout(Some(LOOK))?;
        Ok(Self {
            url: url.to_owned(),
            control: BufReader::new(control),
            interrupts: interrupts.clone(),
            _process: process,
        })
    }

    /// Waits until the worker requests messages.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.ask("wait").map(drop)
    }

    /// Lets a newly started worker drain so many messages that it has then reached its long-term state.
    pub(super) fn warm_up(&mut self, messages: usize) -> Result<()> {
        self.wait()?;
        self.drain(messages)?;
        self.wait()
    }

    /// Sends messages, and returns the time until all were deleted.
    pub(super) fn drain(&mut self, messages: usize) -> Result<Duration> {
        let micros = self.ask(&format!("drain {messages}"))?;
        Ok(Duration::from_micros(*micros.first().context("no answer to `drain`")?))
    }

    /// Sends one message at each interval `every`, and returns the time of each from acceptance to deletion.
    pub(super) fn trickle(&mut self, messages: usize, every: Duration) -> Result<Vec<Duration>> {
        let micros = self.ask(&format!("trickle {messages} {}", every.as_millis()))?;
        ensure!(micros.len() == messages, "{} answers for {messages} messages", micros.len());
        Ok(micros.into_iter().map(Duration::from_micros).collect())
    }

    /// Returns the number of messages in the queue.
    pub(super) fn count(&mut self) -> Result<u64> {
        self.ask("count")?.first().copied().context("no answer to `count`")
    }

    /// Answers all open receives, and from now on every receive immediately.
    pub(super) fn end_long_polls(&mut self) -> Result<()> {
        self.ask("end").map(drop)
    }

    fn ask(&mut self, command: &str) -> Result<Vec<u64>> {
        self.control.get_mut().write_all(format!("{command}\n").as_bytes())?;
        let asked = Instant::now();
        let mut line = String::new();
        while !line.ends_with('\n') {
            match self.control.read_line(&mut line) {
                Ok(0) => bail!("the benchmark's queue ended during `{command}`"),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if let Ok(interrupted) = self.interrupts.try_recv() {
                        return Err(interrupted.into());
                    }
                    ensure!(asked.elapsed() < PATIENCE, "the worker is stuck: no end of `{command}`");
                }
                Err(error) => return Err(error.into()),
            }
        }
        line.split_whitespace().map(|number| Ok(number.parse()?)).collect()
    }
}
