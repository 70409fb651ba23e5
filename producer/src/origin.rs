//! The trace and the correlation id of the code that sends a job.

use drumline::Context;
use drumline::message::Traceparent;
use drumline_runtime::{traceparent_of_span, variable};

/// The variable in which Lambda has the X-Ray header of an invocation. See
/// [its environment variables](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime).
const LAMBDA_TRACE: &str = "_X_AMZN_TRACE_ID";

/// What a job inherits from where it is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The trace of the current span, else of the job whose handler sends, else of the function's invocation.
    pub(crate) trace: Option<Traceparent>,
    /// The correlation id of the job whose handler sends.
    pub(crate) correlation_id: Option<String>,
}

impl Origin {
    /// Returns those of the calling code.
    pub(crate) fn current() -> Self {
        let attempt = Context::current();
        let of_attempt = || Traceparent::parse(&attempt.as_ref()?.traceparent()?);
        let of_function = || Traceparent::from_xray(&variable(LAMBDA_TRACE)?);
        let trace = traceparent_of_span().or_else(of_attempt).or_else(of_function);
        Self { trace, correlation_id: attempt.map(|attempt| attempt.correlation_id().to_owned()) }
    }
}
