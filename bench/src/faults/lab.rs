//! The parts that all cases share: the builds, Ctrl-C, and scenes, which consist of a queue, a file of effects, and workers.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::effects::Effects;
use super::interruption::Interruption;
use super::progress::say;
use super::queue::{self, FaultQueue};
use super::row::Row;
use super::worker::{self, Launch};
use crate::programs::Profile;
use xtask::interrupt::{self, Interrupted};
use xtask::project;

/// The builds, and Ctrl-C.
pub(crate) struct Lab {
    profile: Profile,
    interruption: Interruption,
    /// The folder for logs.
    folder: PathBuf,
}

impl Lab {
    /// Builds the programs to measure.
    pub(crate) fn prepare(dev: bool) -> Result<Self> {
        let profile = if dev { Profile::Dev } else { Profile::Dist };
        let interrupts = interrupt::catch()?;
        say("==> build the worker and the queue server");
        build(profile, &interrupts)?;
        let folder = project::target().join("bench").join("faults");
        fs::create_dir_all(&folder)?;
        Ok(Self { profile, interruption: Interruption::watch(interrupts), folder })
    }

    /// Returns an error if a signal requested the end.
    pub(crate) fn check(&self) -> Result<()> {
        self.interruption.check()
    }

    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        self.interruption.pause(time)
    }

    /// See [`Interruption::until`].
    pub(crate) fn until(
        &self,
        limit: Duration,
        condition: impl FnMut() -> Result<bool>,
    ) -> Result<Option<Duration>> {
        self.interruption.until(limit, condition)
    }

    /// Creates a queue and a file of effects. `name` distinguishes its log from others.
    pub(crate) fn scene(&self, name: &str, max_receive_count: u32, visibility_secs: u32) -> Result<Scene> {
        let files = TempDir::new().context("cannot make a temporary folder")?;
        let log = self.folder.join(format!("{name}.log"));
        fs::write(&log, "")?;
        Ok(Scene {
            queue: FaultQueue::start(self.profile, max_receive_count, visibility_secs)?,
            effects: Effects::at(files.path().join("effects"))?,
            program: self.profile.example(worker::PROGRAM),
            log,
            interruption: self.interruption.clone(),
            files,
        })
    }

    /// Measures several variants concurrently, each on its own thread, and returns their rows in order.
    pub(super) fn together<T: Sync>(
        &self,
        variants: &[T],
        measure: impl Fn(&T) -> Result<Vec<Row>> + Sync,
    ) -> Result<Vec<Row>> {
        let measure = &measure;
        let results: Vec<Result<Vec<Row>>> = thread::scope(|scope| {
            let threads: Vec<_> =
                variants.iter().map(|variant| scope.spawn(move || measure(variant))).collect();
            let join =
                |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("a case does not panic");
            threads.into_iter().map(join).collect()
        });
        self.check()?;
        let mut rows = Vec::new();
        for result in results {
            rows.extend(result?);
        }
        Ok(rows)
    }
}

/// Builds the worker, an example of this crate, and the queue server, a binary of the tests' crate.
fn build(profile: Profile, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let worker = ["--features", "drumline-bench/worker,drumline-bench/stores", "--example", worker::PROGRAM];
    let queue = ["--package", "drumline-tests", "--bin", queue::PROGRAM];
    profile.build(&[&worker[..], &queue].concat(), interrupts)
}

/// A queue, the effects of its jobs, and the worker to start.
pub(crate) struct Scene {
    pub(crate) queue: FaultQueue,
    pub(crate) effects: Effects,
    program: PathBuf,
    log: PathBuf,
    interruption: Interruption,
    files: TempDir,
}

impl Scene {
    /// Returns a worker of the queue with the default settings.
    pub(crate) fn worker(&self) -> Launch {
        let effects = self.effects.path().display().to_string();
        Launch {
            program: self.program.clone(),
            log: self.log.clone(),
            settings: Vec::new(),
            descriptors: None,
            interruption: self.interruption.clone(),
        }
        .set("FAULTY_EFFECTS", effects)
        .set("DRUMLINE_QUEUE_URL", &self.queue.url)
        .set("AWS_ENDPOINT_URL", &self.queue.endpoint)
        .set("AWS_REGION", "eu-central-1")
        .set("AWS_ACCESS_KEY_ID", "bench")
        .set("AWS_SECRET_ACCESS_KEY", "bench")
        .set("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Returns a path for a file of the scene.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Sends `count` jobs with this payload; their ids are numbered from `prefix`.
    pub(crate) fn send(&self, prefix: &str, count: usize, payload: &Value) -> Result<()> {
        let kind = if payload.get("lock").is_some() { "faulty.locked" } else { "faulty" };
        let body = |n| json!({ "type": kind, "jobId": format!("{prefix}-{n}"), "payload": payload });
        self.queue.send(&(0..count).map(|n| body(n).to_string()).collect::<Vec<_>>())
    }

    /// Counts the jobs that have had their effect.
    pub(crate) fn done(&self) -> Result<usize> {
        Ok(self.effects.read()?.done().len())
    }
}
