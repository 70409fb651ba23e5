//! Drains a queue whose jobs have failed three times during a dependency's outage, after a clean restart of the worker.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::effects::now_ms;
use crate::faults::lab::Lab;
use crate::faults::row::{Goal, Row, as_f64, secs};
use xtask::service::lasting::{Kind, LastingServer};

const JOBS: usize = 64;
const JOB_MS: u64 = 2000;
const CONCURRENCY: usize = 8;
const FAILURES: usize = 3;
const MAX_RECEIVE_COUNT: u32 = 5;
const GOAL: f64 = 1.5;
/// The time limit for the failures, and for the drain.
const LIMIT: Duration = Duration::from_secs(90);
/// The time limit for the end after SIGTERM, without running jobs.
const END: Duration = Duration::from_secs(40);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    lab.together(&[Some(Kind::Redis), None], |store| measure_one(lab, *store))
}

fn measure_one(lab: &Lab, store: Option<Kind>) -> Result<Vec<Row>> {
    let label = store.map_or_else(|| "memory:".to_owned(), |kind| kind.to_string());
    let name = format!("deploy-{}", label.trim_end_matches(':').to_lowercase());
    let server = store.map(|kind| LastingServer::start(kind, &name)).transpose()?;
    let scene = lab.scene(&name, MAX_RECEIVE_COUNT, 30)?;
    let down = scene.file("down");
    fs::write(&down, "")?;
    // The fourth run is late enough for the restart to happen first.
    let launch = scene.worker().set("DRUMLINE_CONCURRENCY", CONCURRENCY.to_string());
    let launch = launch.set("DRUMLINE_RETRY", "schedule(1s,1s,5s)").set("DRUMLINE_RETRY_JITTER", "none");
    let mut launch = launch.set("DRUMLINE_WAIT_TIME", "1s");
    if let Some(server) = &server {
        launch = launch.set("DRUMLINE_STORE_URL", server.url());
    }
    let mut worker = launch.start_ready()?;
    scene.send("job", JOBS, &json!({ "ms": JOB_MS, "fail_while": down }))?;
    lab.until(LIMIT, || Ok(scene.effects.read()?.started() >= FAILURES * JOBS))?;
    let failures = scene.effects.read()?.started();
    fs::remove_file(&down)?;
    worker.terminate();
    worker.ended_within(END)?;
    let restarted = now_ms();
    let _worker = launch.start()?;
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let lines = scene.effects.read()?;
    let ideal = as_f64(JOBS) * secs(JOB_MS) / as_f64(CONCURRENCY);
    let span = lines.first_start(restarted).zip(lines.last_done());
    let took = span.filter(|_| lines.done().len() == JOBS).map(|(first, last)| secs(last - first));
    let dead = scene.queue.dead()?;
    let note = format!("{failures} failed runs before; {} of {JOBS} done, {dead} dead", lines.done().len());
    let row = Row::new(label, "s to drain", ideal, took).goal(Goal::AtMost(GOAL * ideal));
    Ok(vec![row.note(note)])
}
