//! `cargo xtask bench soak`: runs two workers for a chosen time, with alternating faults of the store and of SQS. See
//! `docs/benchmark.md`.
//!
//! Each minute has the same faults at the same seconds, so minutes can be compared: a figure that grows from one to the next is
//! a leak.

mod faults;
mod flatness;
mod sample;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::faults::Faults;
use self::flatness::Verdict;
use self::sample::{Minute, Sample};
use self::tally::Tally;
use super::faults::lab::{Lab, Scene};
use super::faults::worker::Worker;
use xtask::service::lasting::{Kind, LastingServer};

const MINUTE: Duration = Duration::from_secs(60);
/// The interval at which jobs are sent, and faults begin and end.
const STEP: Duration = Duration::from_secs(1);
const STEPS_PER_SAMPLE: u64 = 5;
const JOB_MS: u64 = 100;
/// Outages cost receives; messages that ran out of them would not show up as a leak.
const MAX_RECEIVE_COUNT: u32 = 1000;
const LEASE_SECS: u32 = 30;
/// The time limit for the remaining jobs at the end.
const DRAIN: Duration = Duration::from_secs(180);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The duration, such as 90s, 2m or 1h
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "1h")]
    time: Duration,
    /// Jobs per second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Make unfinished jobs, repeated effects and growth an error
    #[arg(long)]
    check: bool,
    /// Run the development build
    #[arg(long)]
    dev: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::prepare(options.dev)?;
    let mut store = LastingServer::start(Kind::Redis, "soak")?;
    let scene = lab.scene("soak", MAX_RECEIVE_COUNT, LEASE_SECS)?;
    let launch = scene.worker().set("DRUMLINE_STORE_URL", store.url()).set("DRUMLINE_WAIT_TIME", "5s");
    let mut workers = [launch.start_ready()?, launch.start_ready()?];

    println!("{}", Minute::HEADER);
    let mut tally = Tally::new(&scene.effects)?;
    let mut faults = Faults::default();
    let mut minutes: Vec<Minute> = Vec::new();
    let mut samples = Vec::new();
    let started = Instant::now();
    for step in 1.. {
        send(&scene, &mut tally, options.rate)?;
        faults.step(step, &mut store, &scene.queue)?;
        // Counted from the start, so that the duration of a step does not add up.
        let next = started + STEP * u32::try_from(step).context("a soak of a century")?;
        lab.pause(next.saturating_duration_since(Instant::now()))?;
        for worker in &mut workers {
            if let Some(status) = worker.ended_within(Duration::ZERO)? {
                bail!("a worker ended by itself with {status}; see target/bench/faults/soak.log");
            }
        }
        tally.read()?;
        if step % STEPS_PER_SAMPLE == 0 {
            samples.push(sample_of(&workers)?);
        }
        let ends = started.elapsed() >= options.time;
        if step % MINUTE.as_secs() == 0 || ends {
            let minute = Minute::of(step, &samples, tally.counts());
            samples.clear();
            println!("{minute}");
            minutes.push(minute);
        }
        if ends {
            break;
        }
    }
    faults.end(&mut store, &scene.queue)?;
    lab.until(DRAIN, || {
        tally.read()?;
        Ok(scene.queue.count()? == 0)
    })?;
    tally.read()?;
    let counts = tally.counts();
    let (dead, left) = (scene.queue.dead()?, scene.queue.count()?);
    let undone = counts.sent - counts.done;
    let lost = undone.saturating_sub(usize::try_from(dead + left)?);
    println!(
        "\n{} sent, {} done; of the others {left} left in the queue, {dead} dead, {lost} lost; {} effects twice",
        counts.sent, counts.done, counts.twice
    );
    let verdict = Verdict::of(&minutes);
    println!("{verdict}");
    let good = undone == 0 && counts.twice == 0 && !verdict.has_growth();
    Ok(if options.check && !good { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn send(scene: &Scene, tally: &mut Tally, rate: u32) -> Result<()> {
    let bodies = tally.next_ids(rate).map(|id| {
        json!({ "type": "faulty", "jobId": id.to_string(), "payload": { "ms": JOB_MS } }).to_string()
    });
    scene.queue.send(&bodies.collect::<Vec<_>>())
}

/// Returns the sum of both workers.
fn sample_of(workers: &[Worker]) -> Result<Sample> {
    let mut sum = Sample::default();
    for worker in workers {
        sum = sum + Sample::of(worker.id(), &worker.address)?;
    }
    Ok(sum)
}

/// Parses `90s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is no duration such as 90s, 2m or 1h");
    let unit = text.chars().last().ok_or_else(malformed)?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(malformed()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| malformed())?;
    if number == 0 {
        return Err("a soak takes some time".to_owned());
    }
    Ok(Duration::from_secs(u64::from(number) * secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for malformed in ["", "m", "5", "0s", "1.5h", "2 m", "5µ"] {
            assert!(duration(malformed).is_err(), "{malformed}");
        }
    }
}
