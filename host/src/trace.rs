//! Trace context, from a message to what is called for it.

use std::str::FromStr;

use drumline::Context;

/// The parent of an attempt's span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceParent {
    /// The span that the message was sent in: an attempt continues its sender's trace, and links to that span too.
    #[default]
    Message,
    /// None: each attempt has a trace of its own, with a link to the span that the message was sent in.
    None,
}

impl FromStr for TraceParent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "message" => Ok(Self::Message),
            "none" => Ok(Self::None),
            _ => Err("must be message or none".to_owned()),
        }
    }
}

/// The job's own [`traceparent`](Context::traceparent), or a new one.
pub(crate) fn traceparent(context: &Context) -> String {
    context.traceparent().unwrap_or_else(fresh)
}

fn fresh() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..))
}
