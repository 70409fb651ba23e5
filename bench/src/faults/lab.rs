//! The common ground of all cases: the builds, Ctrl-C, and scenes made of a queue, a file of effects, and workers.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::build::Profile;
use super::effects::Effects;
use super::interruption::Interruption;
use super::queue::FaultQueue;
use super::row::Row;
use super::worker::Launch;
use crate::{interrupt, project};

/// The builds, and Ctrl-C.
pub(in crate::bench) struct Lab {
    profile: Profile,
    interruption: Interruption,
    /// For logs.
    folder: PathBuf,
}

impl Lab {
    /// Builds what is measured.
    pub(in crate::bench) fn prepare(dev: bool) -> Result<Self> {
        let profile = if dev { Profile::Dev } else { Profile::Release };
        let interrupts = interrupt::catch()?;
        super::say("==> build the worker and the queue server");
        profile.build(&interrupts)?;
        let folder = project::target().join("bench").join("faults");
        fs::create_dir_all(&folder)?;
        Ok(Self { profile, interruption: Interruption::watch(interrupts), folder })
    }

    /// Fails if a signal asked for the end.
    pub(in crate::bench) fn check(&self) -> Result<()> {
        self.interruption.check()
    }

    pub(in crate::bench) fn pause(&self, time: Duration) -> Result<()> {
        self.interruption.pause(time)
    }

    /// See [`Interruption::until`].
    pub(in crate::bench) fn until(
        &self,
        limit: Duration,
        condition: impl FnMut() -> Result<bool>,
    ) -> Result<Option<Duration>> {
        self.interruption.until(limit, condition)
    }

    /// A queue, and a file of effects. `name` distinguishes its log from those of others.
    pub(in crate::bench) fn scene(
        &self,
        name: &str,
        max_receive_count: u32,
        visibility_secs: u32,
    ) -> Result<Scene> {
        let files = TempDir::new().context("cannot make a temporary folder")?;
        let log = self.folder.join(format!("{name}.log"));
        fs::write(&log, "")?;
        Ok(Scene {
            queue: FaultQueue::start(self.profile, max_receive_count, visibility_secs)?,
            effects: Effects::at(files.path().join("effects"))?,
            program: self.profile.worker(),
            log,
            interruption: self.interruption.clone(),
            files,
        })
    }

    /// Measures several variants at once, each in a thread of its own, and returns their rows in order.
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

/// A queue, the effects of its jobs, and the worker to start.
pub(in crate::bench) struct Scene {
    pub(in crate::bench) queue: FaultQueue,
    pub(in crate::bench) effects: Effects,
    program: PathBuf,
    log: PathBuf,
    interruption: Interruption,
    files: TempDir,
}

impl Scene {
    /// A worker of the queue, with the default settings.
    pub(in crate::bench) fn worker(&self) -> Launch {
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

    /// A path for a file of the scene.
    pub(in crate::bench) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Sends `count` jobs with this payload; their ids are numbered from `prefix`.
    pub(in crate::bench) fn send(&self, prefix: &str, count: usize, payload: &Value) -> Result<()> {
        let kind = if payload.get("lock").is_some() { "faulty.locked" } else { "faulty" };
        let body = |n| json!({ "type": kind, "jobId": format!("{prefix}-{n}"), "payload": payload });
        self.queue.send(&(0..count).map(|n| body(n).to_string()).collect::<Vec<_>>())
    }

    /// Counts the jobs that have had their effect.
    pub(in crate::bench) fn done(&self) -> Result<usize> {
        Ok(self.effects.read()?.done().len())
    }
}
