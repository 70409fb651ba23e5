//! The trace and the correlation id of the code that sends a job.

use drumline::Context;
use drumline::message::Traceparent;
use drumline_runtime::{traceparent_of_span, variable};

/// The variable in which Lambda provides the X-Ray header of an invocation. See [its environment
/// variables](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime).
const LAMBDA_TRACE: &str = "_X_AMZN_TRACE_ID";

/// The values that a job inherits from the code that sends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The trace of the current span, otherwise that of the handler's job, otherwise that of the function's invocation.
    pub(crate) trace: Option<Traceparent>,
    /// The correlation id of the handler's job.
    pub(crate) correlation_id: Option<String>,
}

impl Origin {
    /// Returns the origin of the calling code.
    pub(crate) fn current() -> Self {
        Self::with(variable)
    }

    fn with(variable: impl Fn(&str) -> Option<String>) -> Self {
        let attempt = Context::current();
        let of_attempt = || Traceparent::parse(&attempt.as_ref()?.traceparent()?);
        let of_function = || Traceparent::from_xray(&variable(LAMBDA_TRACE)?);
        // The attempt's `tracing` span holds the trace of its message; one that is recorded of the attempt itself is nearer.
        let of_message =
            || attempt.as_ref().filter(|attempt| attempt.trace().is_some())?.message_traceparent();
        let of_span = traceparent_of_span().filter(|trace| of_message().as_deref() != Some(trace.as_str()));
        let trace = of_span.or_else(of_attempt).or_else(of_function);
        Self { trace, correlation_id: attempt.map(|attempt| attempt.correlation_id().to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use drumline_runtime::TraceLayer;
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_span_s_trace_comes_before_the_function_s() {
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let found = |set: bool| {
            let lambda = |name: &str| (set && name == "_X_AMZN_TRACE_ID").then(|| xray.to_owned());
            Origin::with(lambda).trace.map(|trace| trace.as_str().to_owned())
        };
        assert_eq!(found(false), None);
        assert_eq!(found(true).as_deref(), Some("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(TraceLayer), || {
            let _request = info_span!("request", traceparent = HEADER).entered();
            assert_eq!(found(true).as_deref(), Some(HEADER));
        });
    }
}
