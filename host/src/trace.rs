//! Trace context, from a message to whatever is called for it.

use drumline::Context;

/// The job's own [`traceparent`](Context::traceparent), or a new one.
pub(crate) fn traceparent(context: &Context) -> String {
    context.traceparent().unwrap_or_else(fresh)
}

fn fresh() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..))
}
