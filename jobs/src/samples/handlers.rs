//! Handlers of the job types that only the samples use.

use std::num::NonZeroU32;
use std::time::Duration;

use drumline::{Context, Failure, Job};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::Value;

/// The interval of the slow job's progress reports.
const TICK: Duration = Duration::from_millis(250);

/// A handler that fails until a given attempt.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flaky {
    succeeds_at: NonZeroU32,
}

impl Job for Flaky {
    const TYPE: &'static str = "sample.flaky";

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

pub(super) async fn flaky(ctx: Context, job: Flaky) -> Result<(), Failure> {
    if ctx.attempt() >= job.succeeds_at {
        return Ok(());
    }
    Err(Failure::retry(format_args!("attempt {} fails, attempt {} will not", ctx.attempt(), job.succeeds_at)))
}

/// A handler that takes some seconds.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Slow {
    seconds: u32,
}

impl Job for Slow {
    const TYPE: &'static str = "sample.slow";

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

pub(super) async fn slow(ctx: Context, job: Slow) -> Result<(), Failure> {
    let ticks = Duration::from_secs(job.seconds.into()).as_millis() / TICK.as_millis();
    let ticks = u64::try_from(ticks).expect("seconds of 32 bits make few ticks");
    for tick in 0..ticks {
        if let Ok(reason) = tokio::time::timeout(TICK, ctx.cancelled()).await {
            return Err(Failure::retry(format_args!("stopped half-way ({reason:?})")));
        }
        ctx.progress(tick + 1, ticks, "ticks");
    }
    Ok(())
}
