//! Counts jobs that run again although they had ended at least 50 ms before their worker was killed.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::effects::now_ms;
use crate::faults::lab::{Lab, Scene};
use crate::faults::row::{Goal, Row, as_f64};

/// The time after which an ended job should be safe from a kill.
const BEFORE_MS: u64 = 50;
/// The time after which a killed worker's messages are redelivered.
const LEASE_SECS: u32 = 3;
const MAX_RECEIVE_COUNT: u32 = 1000;
const LIMIT: Duration = Duration::from_secs(60);

const IDLE_KILLS: usize = 20;
const AFTER_THE_END: Duration = Duration::from_millis(60);

const BUSY_KILLS: usize = 8;
const BUSY_JOBS: usize = 4000;
const BUSY_TIME: Duration = Duration::from_secs(1);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    Ok(vec![idle(lab)?, busy(lab)?])
}

/// Each worker is killed after its only job.
fn idle(lab: &Lab) -> Result<Row> {
    let scene = lab.scene("linger-idle", MAX_RECEIVE_COUNT, LEASE_SECS)?;
    let launch = scene.worker();
    let mut kills = Vec::new();
    for trial in 0..IDLE_KILLS {
        let worker = launch.start_ready()?;
        scene.send(&format!("trial-{trial}"), 1, &json!({ "ms": 10 }))?;
        let id = format!("trial-{trial}-0");
        lab.until(LIMIT, || Ok(scene.effects.read()?.done().contains(&*id)))?;
        lab.pause(AFTER_THE_END)?;
        kills.push(now_ms());
        worker.kill();
    }
    let _worker = launch.start_ready()?;
    Ok(row(lab, &scene, "idle", &kills)?.goal(Goal::AtMost(0.0)).note(format!("of {IDLE_KILLS}")))
}

/// Workers are killed while jobs end all the time.
fn busy(lab: &Lab) -> Result<Row> {
    let scene = lab.scene("linger-busy", MAX_RECEIVE_COUNT, LEASE_SECS)?;
    let launch = scene.worker();
    scene.send("job", BUSY_JOBS, &json!({ "ms": 100 }))?;
    let mut kills = Vec::new();
    for _ in 0..BUSY_KILLS {
        let worker = launch.start_ready()?;
        lab.pause(BUSY_TIME)?;
        kills.push(now_ms());
        worker.kill();
    }
    let done = scene.done()?;
    let _worker = launch.start_ready()?;
    Ok(row(lab, &scene, "busy", &kills)?
        .note(format!("of {done} done before the last of {BUSY_KILLS} kills")))
}

fn row(lab: &Lab, scene: &Scene, variant: &str, kills: &[u64]) -> Result<Row> {
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let reruns = scene.effects.read()?.rerun_after(kills, BEFORE_MS);
    Ok(Row::new(variant, "jobs run again", 0.0, Some(as_f64(reruns))))
}
