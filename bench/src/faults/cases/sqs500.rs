//! SQS returns errors for every call for 30 s: measures the time from their end to the first job.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::effects::now_ms;
use crate::faults::lab::Lab;
use crate::faults::queue::{EVERY_ACTION, Fault};
use crate::faults::row::{Goal, Row, secs};

const OUTAGE: Duration = Duration::from_secs(30);
const GOAL: Goal = Goal::AtMost(5.0);
const LIMIT: Duration = Duration::from_secs(90);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let scene = lab.scene("sqs500", 5, 30)?;
    // An open receive is answered after its wait: the wait is short, so that the outage has its nominal length.
    let _worker = scene.worker().set("DRUMLINE_WAIT_TIME", "1s").start_ready()?;
    scene.send("before", 1, &json!({ "ms": 1 }))?;
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    scene.queue.fail(EVERY_ACTION, Fault::Internal, 100)?;
    lab.pause(OUTAGE)?;
    let healed = now_ms();
    scene.queue.heal(EVERY_ACTION)?;
    scene.send("after", 10, &json!({ "ms": 1 }))?;
    lab.until(LIMIT, || Ok(scene.effects.read()?.first_start(healed).is_some()))?;
    let first = scene.effects.read()?.first_start(healed).map(|at| secs(at - healed));
    Ok(vec![Row::new("status 500 on every call, 30 s", "s to the first job", 0.0, first).goal(GOAL)])
}
