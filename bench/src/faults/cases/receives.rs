//! Measures the throughput while a share of receives fails, in comparison with the undisturbed run of the same worker.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::faults::effects::now_ms;
use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::queue::Fault;
use crate::faults::row::{Goal, Row, as_f64};

const ACTION: &str = "ReceiveMessage";
const PERCENTAGES: [u8; 4] = [10, 30, 50, 80];
const FAULTS: [(Fault, &str); 2] = [(Fault::Internal, "status 500"), (Fault::Dropped, "reset")];
/// The percentage of undisturbed throughput at [`GOAL_AT`] failing receives.
const GOAL: Goal = Goal::AtLeast(30.0);
const GOAL_AT: u8 = 50;

/// More than a worker can finish in the window: 32 at a time, 10 ms each.
const MESSAGES: usize = 40_000;
const JOB_MS: u64 = 10;
/// The time after the first effect in which connections open.
const RAMP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(8);
/// The time limit for a worker's first effect; after it, the worker counts as having none.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let undisturbed = effects_in_window(lab, None)?;
    let mut rows = Vec::new();
    for (fault, name) in FAULTS {
        for percent in PERCENTAGES {
            let effects = effects_in_window(lab, Some((fault, percent)))?;
            let share = 100.0 * effects / undisturbed;
            say(&format!("    {percent} % {name}: {share:.0} % of undisturbed throughput"));
            let row =
                Row::new(format!("{percent} % {name}"), "% of undisturbed throughput", 100.0, Some(share));
            let row = row.note(format!("{:.0} jobs/s", effects / WINDOW.as_secs_f64()));
            rows.push(if percent == GOAL_AT { row.goal(GOAL) } else { row });
        }
    }
    Ok(rows)
}

fn effects_in_window(lab: &Lab, fault: Option<(Fault, u8)>) -> Result<f64> {
    let scene = lab.scene("receives", 1000, 30)?;
    scene.send("job", MESSAGES, &json!({ "ms": JOB_MS }))?;
    if let Some((fault, percent)) = fault {
        scene.queue.fail(ACTION, fault, percent)?;
    }
    let _worker = scene.worker().start_ready()?;
    if lab.until(LIMIT, || Ok(scene.done()? > 0))?.is_none() {
        return Ok(0.0);
    }
    lab.pause(RAMP)?;
    let from = now_ms();
    lab.pause(WINDOW)?;
    let window = u64::try_from(WINDOW.as_millis()).context("a window of seconds")?;
    Ok(as_f64(scene.effects.read()?.ended_between(from, from + window)))
}
