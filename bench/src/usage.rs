//! Reads the operating system's data about a process, and sets the core on which it runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `start`, which starts a process, so that the process stays on one core.
///
/// A child inherits the affinity of the thread that starts it, before it has any other thread.
pub(super) fn on_core<T>(core: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None).context("cannot read the CPU affinity")?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).with_context(|| format!("cannot use core {core}"))?;
    let started = start();
    sched_setaffinity(None, &before).context("cannot restore the CPU affinity")?;
    started
}

/// Returns the processor time of all threads of a process so far, to the nanosecond.
///
/// The data comes from the scheduler's statistics: the accounting in `/proc/PID/stat` counts ticks of ten milliseconds. Ended
/// threads are missing, so the figures are valid only for processes that keep their threads.
pub(super) fn processor_time(process: Pid) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(proc(process, "task"))? {
        let path = task?.path().join("schedstat");
        let text = match fs::read_to_string(&path) {
            // The thread has ended since the folder was listed, and is missing like all threads that ended earlier.
            Err(error) if has_ended(&error) => continue,
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        sum += Duration::from_nanos(nanos.with_context(|| format!("no number in {}", path.display()))?);
    }
    Ok(sum)
}

/// Returns true for either of the two errors of a thread that ends while its file is opened or read.
fn has_ended(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// The resident memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// The peak so far.
    pub(super) peak: u64,
    pub(super) now: u64,
}

impl Memory {
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    pub(super) fn peak_mib(self) -> f64 {
        self.peak as f64 / 1024.0
    }

    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    pub(super) fn now_mib(self) -> f64 {
        self.now as f64 / 1024.0
    }
}

pub(super) fn memory_kib(process: Pid) -> Result<Memory> {
    let status = fs::read_to_string(proc(process, "status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.with_context(|| format!("no {name} in /proc/PID/status"))
    };
    Ok(Memory { peak: kib("VmHWM:")?, now: kib("VmRSS:")? })
}

fn proc(process: Pid, file: &str) -> PathBuf {
    format!("/proc/{}/{file}", process.as_raw_nonzero()).into()
}

/// Returns the processor's name for the report.
pub(super) fn processor_name() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split(':').nth(1)?.trim().to_owned())
}

/// Removes all settings of the runtime that a developer's shell may contain: only the defaults are measured.
pub(super) fn forget_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("DRUMLINE_")) {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn this_process_has_used_the_processor_and_memory() {
        let this = rustix::process::getpid();
        let before = processor_time(this).unwrap();
        // The statistics of a running thread are updated at the scheduler's next tick.
        let started = std::time::Instant::now();
        while processor_time(this).unwrap() == before {
            assert!(started.elapsed() < Duration::from_secs(10), "the time stands still");
        }
        let memory = memory_kib(this).unwrap();
        assert!(memory.now > 100 && memory.peak >= memory.now, "{memory:?}");
    }

    #[test]
    fn threads_that_come_and_go_meanwhile_do_no_harm() {
        let coming_and_going = std::thread::spawn(|| {
            for _ in 0..2000 {
                std::thread::spawn(|| {}).join().unwrap();
            }
        });
        while !coming_and_going.is_finished() {
            processor_time(rustix::process::getpid()).unwrap();
        }
        coming_and_going.join().unwrap();
    }

    #[test]
    fn a_child_starts_on_its_core_and_this_thread_returns() {
        let before = sched_getaffinity(None).unwrap();
        let child = on_core(0, || Ok(Command::new("cat").arg("/proc/self/status").output()?)).unwrap();
        let status = String::from_utf8(child.stdout).unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        assert_eq!(list.trim(), "0");
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
