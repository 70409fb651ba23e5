//! Measures how fast 200 jobs of 1 ms take turns on one lock.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::row::{Goal, Row, as_f64, secs};
use xtask::service::lasting::{Kind, LastingServer};

const JOBS: usize = 200;
const JOB_MS: u64 = 1;
const GOAL: Goal = Goal::AtMost(5.0);
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    lab.together(&[None, Some(Kind::Redis)], |store| measure_one(lab, *store))
}

fn measure_one(lab: &Lab, store: Option<Kind>) -> Result<Vec<Row>> {
    let label = store.map_or_else(|| "memory:".to_owned(), |kind| kind.to_string());
    let name = format!("lock-{}", label.trim_end_matches(':').to_lowercase());
    let server = store.map(|kind| LastingServer::start(kind, &name)).transpose()?;
    // Waiting for a lock costs receives, which this case does not measure.
    let scene = lab.scene(&name, 1000, 30)?;
    let mut launch = scene.worker();
    if let Some(server) = &server {
        launch = launch.set("DRUMLINE_STORE_URL", server.url());
    }
    let _worker = launch.start_ready()?;
    scene.send("job", JOBS, &json!({ "ms": JOB_MS, "lock": "account:42" }))?;
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let lines = scene.effects.read()?;
    let span = lines.first_start(0).zip(lines.last_done());
    let took = span.filter(|_| lines.done().len() == JOBS).map(|(first, last)| secs(last - first));
    let note = format!("{} of {JOBS} done", lines.done().len());
    say(&format!("    {label}: {took:?} s; {note}"));
    let ideal = as_f64(JOBS) * secs(JOB_MS);
    Ok(vec![Row::new(label, "s to the last effect", ideal, took).goal(GOAL).note(note)])
}
