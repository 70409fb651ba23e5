//! SIGTERM while deletes fail for 5 s: the grace is long enough to confirm them all.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::faults::lab::Lab;
use crate::faults::queue::Fault;
use crate::faults::row::Row;

const JOBS: usize = 10;
const ACTIONS: [&str; 2] = ["DeleteMessageBatch", "DeleteMessage"];
const FAILING: Duration = Duration::from_secs(5);
/// The default grace is 25 s, and stopping takes some seconds more.
const END: Duration = Duration::from_secs(40);

/// The waits of receives. A stop waits for the response to the open receive, so only a short wait shows how long deletes are
/// retried.
const WAIT_TIMES: [&str; 2] = ["20s", "1s"];

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    lab.together(&WAIT_TIMES, |wait_time| measure_one(lab, wait_time))
}

fn measure_one(lab: &Lab, wait_time: &str) -> Result<Vec<Row>> {
    let scene = lab.scene(&format!("stop-{wait_time}"), 5, 30)?;
    let mut worker = scene.worker().set("DRUMLINE_WAIT_TIME", wait_time).start_ready()?;
    for action in ACTIONS {
        scene.queue.fail(action, Fault::Internal, 100)?;
    }
    scene.send("job", JOBS, &json!({ "ms": 10 }))?;
    lab.until(END, || Ok(scene.done()? == JOBS))?;
    let stopped = Instant::now();
    worker.terminate();
    lab.pause(FAILING)?;
    for action in ACTIONS {
        scene.queue.heal(action)?;
    }
    let status = worker.ended_within(END)?;
    let took = stopped.elapsed().as_secs_f64();
    let left = usize::try_from(scene.queue.count()?)?;
    // A worker that gave up before the deletes could succeed has ended during the pause.
    let note = match status {
        Some(status) => format!("of {JOBS}; ended within {took:.0} s with {status}"),
        None => format!("of {JOBS}; still running after {took:.0} s"),
    };
    Ok(vec![Row::none_of(format!("receives wait {wait_time}"), "done jobs not deleted", left).note(note)])
}
