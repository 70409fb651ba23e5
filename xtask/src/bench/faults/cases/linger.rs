//! Jobs that run again since their worker was killed 60 ms after they had ended, with nothing else to do.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Lab, Row};
use crate::bench::faults::row::{Goal, as_f64};

const TRIALS: usize = 20;
const AFTER_THE_END: Duration = Duration::from_millis(60);
/// A killed worker's messages return this late.
const LEASE_SECS: u32 = 3;
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let scene = lab.scene("linger", 1000, LEASE_SECS)?;
    let launch = scene.worker();
    for trial in 0..TRIALS {
        let worker = launch.start_ready()?;
        // The worker is idle: what is left of earlier trials is done by now, or not yet visible.
        scene.send(&format!("trial-{trial}"), 1, &json!({ "ms": 10 }))?;
        let id = format!("trial-{trial}-0");
        lab.until(LIMIT, || Ok(scene.effects.read()?.done().contains(&*id)))?;
        lab.pause(AFTER_THE_END)?;
        worker.kill();
    }
    let _worker = launch.start_ready()?;
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let reruns = scene.effects.read()?.rerun();
    let row = Row::new("idle, SIGKILL 60 ms after the end", "jobs run again", 0.0, Some(as_f64(reruns)));
    Ok(vec![row.goal(Goal::AtMost(0.0)).note(format!("of {TRIALS}"))])
}
