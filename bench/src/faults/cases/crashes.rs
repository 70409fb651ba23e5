//! Drains a queue whose worker is killed three times meanwhile, in comparison with the ideal: jobs times duration divided by
//! concurrency.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::row::{Goal, Row, as_f64, secs};
use xtask::service::lasting::{Kind, LastingServer};

const JOBS: usize = 60;
const JOB_MS: u64 = 3000;
const CONCURRENCY: usize = 8;
/// The lease: a killed worker's messages are redelivered after this time, so they run again when the next kill comes.
const LEASE_SECS: u32 = 5;
const BETWEEN_KILLS: Duration = Duration::from_secs(7);
const KILLS: usize = 3;
/// So small that messages whose worker was killed three times run in quarantine.
const MAX_RECEIVE_COUNT: u32 = 5;
const LIMIT: Duration = Duration::from_secs(180);

/// The store and the goal.
const VARIANTS: [(Option<Kind>, f64); 2] = [(Some(Kind::Redis), 2.0), (None, 3.0)];

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    lab.together(&VARIANTS, |(store, goal)| measure_one(lab, *store, *goal))
}

fn measure_one(lab: &Lab, store: Option<Kind>, goal: f64) -> Result<Vec<Row>> {
    let label = store.map_or_else(|| "memory:".to_owned(), |kind| kind.to_string());
    let name = format!("crashes-{}", label.trim_end_matches(':').to_lowercase());
    let server = store.map(|kind| LastingServer::start(kind, &name)).transpose()?;
    let scene = lab.scene(&name, MAX_RECEIVE_COUNT, LEASE_SECS)?;
    let mut launch = scene.worker().set("DRUMLINE_CONCURRENCY", CONCURRENCY.to_string());
    if let Some(server) = &server {
        launch = launch.set("DRUMLINE_STORE_URL", server.url());
    }
    let mut worker = launch.start_ready()?;
    scene.send("job", JOBS, &json!({ "ms": JOB_MS }))?;
    lab.until(LIMIT, || Ok(scene.effects.read()?.started() > 0))?;
    for _ in 0..KILLS {
        lab.pause(BETWEEN_KILLS)?;
        worker.kill();
        worker = launch.start()?;
    }
    lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let lines = scene.effects.read()?;
    let dead = scene.queue.dead()?;
    let ideal = as_f64(JOBS) * secs(JOB_MS) / as_f64(CONCURRENCY);
    let took = lines.first_start(0).zip(lines.last_done()).filter(|_| lines.done().len() == JOBS);
    let took = took.map(|(first, last)| secs(last - first));
    let note = format!("{} of {JOBS} done, {dead} dead, {} effects twice", lines.done().len(), lines.twice());
    say(&format!("    {label}: {took:?} s, ideal {ideal} s; {note}"));
    Ok(vec![Row::new(label, "s to drain", ideal, took).goal(Goal::AtMost(goal * ideal)).note(note)])
}
