//! Counts innocent jobs that die because two other jobs kill the process, with a supervisor that restarts it.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::row::{Goal, Row, as_f64};
use xtask::service::lasting::{Kind, LastingServer};

const INNOCENT: usize = 60;
const KILLERS: usize = 2;
/// Sixty of them in sequence take longer than a process stays in quarantine mode.
const INNOCENT_MS: u64 = 2000;
const LEASE_SECS: u32 = 5;
const LIMIT: Duration = Duration::from_secs(240);

/// The store, `maxReceiveCount`, and the number of innocent jobs that may die.
const VARIANTS: [(Option<Kind>, u32, f64); 4] =
    [(None, 4, 2.0), (None, 10, 0.0), (Some(Kind::Redis), 4, 2.0), (Some(Kind::Redis), 10, 0.0)];

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    lab.together(&VARIANTS, |(store, max_receive_count, goal)| {
        measure_one(lab, *store, *max_receive_count, *goal)
    })
}

fn measure_one(lab: &Lab, store: Option<Kind>, max_receive_count: u32, goal: f64) -> Result<Vec<Row>> {
    let kind = store.map_or_else(|| "memory:".to_owned(), |kind| kind.to_string());
    let name = format!("killers-{max_receive_count}-{}", kind.trim_end_matches(':').to_lowercase());
    let server = store.map(|kind| LastingServer::start(kind, &name)).transpose()?;
    let scene = lab.scene(&name, max_receive_count, LEASE_SECS)?;
    let mut launch = scene.worker();
    if let Some(server) = &server {
        launch = launch.set("DRUMLINE_STORE_URL", server.url());
    }
    let mut worker = launch.start_ready()?;
    // One among the first, one in the middle.
    for half in ["first", "second"] {
        scene.send(&format!("killer-{half}"), KILLERS / 2, &json!({ "ms": 500, "abort": true }))?;
        scene.send(&format!("innocent-{half}"), INNOCENT / 2, &json!({ "ms": INNOCENT_MS }))?;
    }
    let mut restarts = 0;
    let drained = lab.until(LIMIT, || {
        restarts += usize::from(worker.revive(&launch)?);
        Ok(scene.queue.count()? == 0)
    })?;
    let dead = scene.queue.dead_bodies()?;
    let innocent = dead.iter().filter(|body| body.contains("innocent")).count();
    let label = format!("maxReceiveCount {max_receive_count}, {kind}");
    let lines = scene.effects.read()?;
    let time = drained.map_or_else(|| "over 240 s".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()));
    let note = format!(
        "{} of {INNOCENT} done; {} killers dead; {restarts} restarts; {time}",
        lines.done().len(),
        dead.len() - innocent
    );
    say(&format!("    {label}: {innocent} innocent dead; {note}"));
    let row = Row::new(label, "innocent jobs dead", 0.0, Some(as_f64(innocent)));
    Ok(vec![row.goal(Goal::AtMost(goal)).note(note)])
}
