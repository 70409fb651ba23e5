//! A child process that ends with its handle.
//!
//! Each child leads its own process group, so that all its descendants can be signalled: `cargo test` does not forward signals
//! to its test binaries. Therefore, a terminal's Ctrl-C reaches only this process, which then stops its children one by one.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, after, bounded, never, select};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::Interrupted;
use crate::progress::note;

/// The time for a child to end after SIGTERM. LocalStack needs some seconds to stop its services.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A running child. Dropping it stops it: it sends SIGTERM to its group, or the signal that was set, then SIGKILL to the rest.
pub struct Process {
    name: String,
    group: Pid,
    exits: Receiver<io::Result<ExitStatus>>,
    interrupts: Receiver<Interrupted>,
    ended: Option<ExitStatus>,
    stop_signal: Signal,
}

impl Process {
    /// Starts the command without an input (a background group must not read the terminal).
    pub fn spawn(name: &str, command: &mut Command, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        Self::spawn_with_input(name, command.stdin(Stdio::null()), interrupts)
    }

    /// Starts the command with its configured input, such as a pipe.
    pub fn spawn_with_input(
        name: &str,
        command: &mut Command,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        let (sender, exits) = bounded(1);
        thread::spawn(move || {
            // This fails only if no receiver waits for the result any more.
            sender.send(child.wait()).ok();
        });
        Ok(Self {
            name: name.to_owned(),
            group,
            exits,
            interrupts: interrupts.clone(),
            ended: None,
            stop_signal: Signal::TERM,
        })
    }

    /// Returns its id, for lookups in the operating system's process data.
    pub fn id(&self) -> Pid {
        self.group
    }

    /// Sends SIGTERM to it and its group, and returns immediately.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sets the signal with which dropping begins instead of SIGTERM.
    pub fn stop_by(&mut self, signal: Signal) {
        self.stop_signal = signal;
    }

    /// Waits for the end; a signal to this process ends the wait with [`Interrupted`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.ended_before(&never()).map(|ended| ended.expect("the timer never fires"))
    }

    /// Waits for the end for some time; `None` if the process is still running.
    pub fn ended_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.ended_before(&after(limit))
    }

    /// Kills it, and its group, and waits for its end.
    pub fn kill(mut self) {
        self.stop_by(Signal::KILL);
    }

    fn ended_before(&mut self, timer: &Receiver<Instant>) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            select! {
                recv(self.exits) -> status => self.ended = Some(status??),
                recv(self.interrupts) -> interrupted => return Err(interrupted?.into()),
                recv(timer) -> _ => {}
            }
        }
        Ok(self.ended)
    }

    /// Ends the process and its group; returns immediately if this has already happened.
    fn stop(&mut self) {
        if self.ended.is_none() {
            self.signal(self.stop_signal);
            // A second Ctrl-C means: stop immediately.
            if !matches!(self.ended_within(STOP_GRACE), Ok(Some(_))) {
                note(&format!("{} does not stop by itself and is killed", self.name));
            }
        }
        // Even if the leader has ended: the remaining processes of its group are killed, too.
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.exits.recv().ok().and_then(Result::ok);
        }
    }

    fn signal(&self, signal: Signal) {
        match kill_process_group(self.group, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => note(&format!("cannot send {signal:?} to {}: {error}", self.name)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{PipeReader, Read};

    use crossbeam_channel::unbounded;

    use super::*;

    /// Starts a shell script whose processes all hold the other end of the returned pipe.
    fn shell(script: &str, interrupts: &Receiver<Interrupted>) -> (Process, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let process =
            Process::spawn("sh", Command::new("sh").args(["-c", script]).stdout(writer), interrupts);
        (process.unwrap(), reader)
    }

    /// Reads to the end of the pipe, which comes when no process of the script is left.
    fn wait_for_all(mut output: PipeReader) {
        output.read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn the_exit_status_comes_through() {
        let (mut process, _) = shell("exit 7", &never());
        assert_eq!(process.wait().unwrap().code(), Some(7));
        assert_eq!(process.wait().unwrap().code(), Some(7), "asked twice");
    }

    #[test]
    fn dropping_stops_the_whole_group() {
        let started = Instant::now();
        let (mut process, output) = shell("sleep 600 & sleep 600 & wait", &never());
        assert_eq!(process.ended_within(Duration::from_millis(1)).unwrap(), None);
        drop(process);
        wait_for_all(output);
        assert!(started.elapsed() < STOP_GRACE, "SIGTERM was enough");
    }

    #[test]
    fn another_signal_may_be_what_stops_it() {
        let started = Instant::now();
        let script = "trap '' TERM; trap 'exit 0' INT; echo ready; while :; do sleep 0.01; done";
        let (mut process, mut output) = shell(script, &never());
        output.read_exact(&mut [0; "ready".len()]).unwrap();
        process.stop_by(Signal::INT);
        drop(process);
        wait_for_all(output);
        assert!(started.elapsed() < STOP_GRACE, "SIGINT was enough");
    }

    #[test]
    fn what_an_ended_process_leaves_behind_is_stopped_too() {
        let (mut process, output) = shell("trap '' TERM; sleep 600 & exit 0", &never());
        assert!(process.wait().unwrap().success());
        drop(process);
        wait_for_all(output);
    }

    #[test]
    fn a_signal_ends_the_wait_and_a_second_one_the_grace() {
        let (sender, interrupts) = unbounded();
        let (mut process, mut output) = shell("trap '' TERM; echo ready; sleep 600 & wait", &interrupts);
        output.read_exact(&mut [0; "ready".len()]).unwrap();
        sender.send(Interrupted { signal: 2 }).unwrap();
        let error = process.wait().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Interrupted { signal: 2 }));

        sender.send(Interrupted { signal: 2 }).unwrap();
        let started = Instant::now();
        drop(process);
        assert!(started.elapsed() < STOP_GRACE);
        wait_for_all(output);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Process::spawn("it", &mut Command::new("/no/such/program"), &never()).err().unwrap();
        assert!(error.to_string().contains("/no/such/program"), "{error:#}");
    }
}
