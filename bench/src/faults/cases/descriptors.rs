//! A lack of file descriptors must kill no message: 1,024 descriptors, and more connections than that.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::faults::lab::{Lab, Scene};
use crate::faults::progress::say;
use crate::faults::row::Row;
use crate::faults::target::Target;

const LIMIT_PER_WORKER: u32 = 1024;
/// The number of connections to the worker's HTTP endpoint.
const IDLE_CONNECTIONS: usize = 1100;
const MAX_RECEIVE_COUNT: u32 = 5;
/// The time limit for all messages to be done or dead.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
enum Variant {
    Forwarded,
    Handler,
    Concurrent,
}

impl Variant {
    fn label(self) -> &'static str {
        match self {
            Self::Forwarded => "1,100 idle connections, forward mode",
            Self::Handler => "1,100 idle connections, a socket per job",
            Self::Concurrent => "concurrency 2,000, a socket per job",
        }
    }

    fn messages(self) -> usize {
        match self {
            Self::Forwarded | Self::Handler => 200,
            Self::Concurrent => 3000,
        }
    }
}

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    // This process has the other ends of the connections, so it needs as many descriptors as it may have.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of file descriptors")?;
    let mut rows = Vec::new();
    for variant in [Variant::Forwarded, Variant::Handler, Variant::Concurrent] {
        rows.extend(measure_one(lab, variant)?);
    }
    Ok(rows)
}

fn measure_one(lab: &Lab, variant: Variant) -> Result<Vec<Row>> {
    let target = Target::start()?;
    let scene = lab.scene(&format!("descriptors-{variant:?}").to_lowercase(), MAX_RECEIVE_COUNT, 30)?;
    let launch = scene.worker().with_descriptors(LIMIT_PER_WORKER);
    let launch = match variant {
        Variant::Forwarded => launch.set("DRUMLINE_FORWARD_TO", target.url()),
        Variant::Handler => launch,
        Variant::Concurrent => launch.set("DRUMLINE_CONCURRENCY", "2000"),
    };
    let worker = launch.start_ready()?;
    let idle = match variant {
        Variant::Forwarded | Variant::Handler => connect(&worker.address)?,
        Variant::Concurrent => Vec::new(),
    };
    let messages = variant.messages();
    // Long enough for all 2,000 slots to be used at once.
    let ms = if matches!(variant, Variant::Concurrent) { 5000 } else { 10 };
    scene.send("job", messages, &json!({ "ms": ms, "connect": target.address() }))?;
    let drained = lab.until(PATIENCE, || Ok(scene.queue.count()? == 0))?;
    let done = match variant {
        Variant::Forwarded => target.done(),
        Variant::Handler | Variant::Concurrent => scene.done()?,
    };
    drop(idle);
    let label = variant.label();
    let row = dead_row(&scene, label)?;
    let time = drained.map_or_else(|| "over 120 s".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()));
    let note = format!("{done} of {messages} done; {time}");
    say(&format!("    {label}: {note}"));
    Ok(vec![row.note(note)])
}

fn dead_row(scene: &Scene, label: &str) -> Result<Row> {
    let dead = usize::try_from(scene.queue.dead()?)?;
    Ok(Row::none_of(label, "messages dead", dead))
}

fn connect(address: &str) -> Result<Vec<TcpStream>> {
    let address = address.parse().context("the worker's address")?;
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(2));
    // Connections beyond the worker's limit wait in the system's backlog or are refused: the case measures both.
    Ok((0..IDLE_CONNECTIONS).map_while(|n| connect(n).ok()).collect())
}
