//! Counts effects that happen twice because the store was down while jobs ended successfully.
//!
//! Two workers share the store. All of their running jobs end during the outage of the store, and as many jobs wait behind
//! them. A frozen server keeps its connections open and does not respond; a killed server refuses connections, and returns with
//! its data. A replaced server means that another server responds meanwhile, but not as a store: the workers must still notice
//! the return.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::impostor::Impostor;
use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::row::{Goal, Row};
use xtask::service::lasting::{Kind, LastingServer};

const OUTAGES_SECS: [u64; 3] = [15, 45, 90];
const REPLACED_SECS: u64 = 15;
const CONCURRENCY: usize = 8;
const WORKERS: usize = 2;
const JOB_MS: u64 = 5000;
/// The time from the start of the last job to the outage.
const BEFORE: Duration = Duration::from_secs(1);
/// The time limit for all jobs before the outage, and again after it.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Frozen,
    Killed,
    Replaced,
}

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let mut variants = Vec::new();
    for kind in [Kind::Redis, Kind::Postgres] {
        for manner in [Manner::Frozen, Manner::Killed] {
            variants.extend(OUTAGES_SECS.map(|secs| (kind, manner, secs)));
        }
        variants.push((kind, Manner::Replaced, REPLACED_SECS));
    }
    lab.together(&variants, |(kind, manner, secs)| measure_one(lab, *kind, *manner, *secs))
}

fn measure_one(lab: &Lab, kind: Kind, manner: Manner, secs: u64) -> Result<Vec<Row>> {
    let manner_name = format!("{manner:?}").to_lowercase();
    let label = format!("{kind} {manner_name}, {secs} s");
    let name = format!("store-{kind}-{manner_name}-{secs}").to_lowercase();
    let mut server = LastingServer::start(kind, &name)?;
    let scene = lab.scene(&name, 10, 30)?;
    let launch = scene.worker().set("DRUMLINE_STORE_URL", server.url());
    let launch = launch.set("DRUMLINE_CONCURRENCY", CONCURRENCY.to_string());
    let _workers = [launch.start_ready()?, launch.start_ready()?];
    let running = CONCURRENCY * WORKERS;
    scene.send("job", 2 * running, &json!({ "ms": JOB_MS }))?;
    lab.until(LIMIT, || Ok(scene.effects.read()?.started() >= running))?;
    lab.pause(BEFORE)?;
    let mut impostor = None;
    match manner {
        Manner::Frozen => server.freeze()?,
        Manner::Killed => server.kill(),
        Manner::Replaced => {
            server.kill();
            impostor = Some(Impostor::start(server.address())?);
        }
    }
    lab.pause(Duration::from_secs(secs))?;
    let ended = scene.done()?;
    drop(impostor);
    match manner {
        Manner::Frozen => server.thaw()?,
        Manner::Killed | Manner::Replaced => server.restart()?,
    }
    let drained = lab.until(LIMIT, || Ok(scene.queue.count()? == 0))?;
    let dead = scene.queue.dead()?;
    let twice = scene.effects.read()?.twice();
    let settled = drained.map_or_else(
        || "messages left after 60 s".to_owned(),
        |time| format!("drained {:.0} s after the return", time.as_secs_f64()),
    );
    let note = format!("of {ended} that ended before the return; {settled}; {dead} dead");
    say(&format!("    {label}: {twice} twice {note}"));
    let mut rows = vec![Row::none_of(label.clone(), "effects twice", twice).note(note)];
    if manner == Manner::Replaced {
        let secs = drained.map(|time| time.as_secs_f64());
        rows.push(
            Row::new(label, "s from the return to drained", 0.0, secs)
                .goal(Goal::AtMost(LIMIT.as_secs_f64())),
        );
    }
    Ok(rows)
}
