//! The reasons why an export fails.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// A failed export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExportError {
    /// No connection was opened, for this reason.
    NotConnected(String),
    /// The connection broke, for this reason.
    Interrupted(String),
    /// There was no answer within this time.
    TimedOut(Duration),
    /// The collector answered with another status than success, and asked for this wait before another request.
    Refused(StatusCode, Option<Duration>),
    /// The collector took the request and rejected so many spans or data points of it, with its reason.
    Rejected(usize, String),
    /// More spans than this many waited.
    QueueFull(usize),
    /// The request could not be made.
    Invalid(String),
}

impl ExportError {
    /// Returns true if the same request may succeed later. See
    /// [the protocol](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::Interrupted(_) => true,
            Self::Refused(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::TimedOut(_) | Self::Rejected(..) | Self::QueueFull(_) | Self::Invalid(_) => false,
        }
    }

    /// Returns the wait that the collector asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(_, retry_after) = self { *retry_after } else { None }
    }

    /// Returns the advice for an operator.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => {
                "check that a collector listens at OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_SDK_DISABLED=true"
            }
            Self::Interrupted(_) => {
                "check that OTLP over HTTP is spoken at OTEL_EXPORTER_OTLP_ENDPOINT: port 4318, not 4317"
            }
            Self::TimedOut(_) => "use a collector nearby, or raise OTEL_EXPORTER_OTLP_TIMEOUT",
            Self::Refused(status, _) => match status.as_u16() {
                401 | 403 => "check the key in OTEL_EXPORTER_OTLP_HEADERS",
                404 | 405 => {
                    "check the path: v1/traces or v1/metrics is added to OTEL_EXPORTER_OTLP_ENDPOINT, and \
                     nothing to an endpoint of one signal"
                }
                413 => "lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or raise the collector's limit",
                _ => "check the collector's log",
            },
            Self::Rejected(..) => "check the collector's limits",
            Self::QueueFull(_) => {
                "sample fewer traces (OTEL_TRACES_SAMPLER), or raise OTEL_BSP_MAX_QUEUE_SIZE"
            }
            Self::Invalid(_) => "check OTEL_EXPORTER_OTLP_ENDPOINT",
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(reason) | Self::Interrupted(reason) | Self::Invalid(reason) => {
                f.write_str(reason)
            }
            Self::TimedOut(time) => write!(f, "no answer within {time:?}"),
            Self::Refused(status, _) => write!(f, "the collector answers {status}"),
            Self::QueueFull(most) => write!(f, "more than {most} spans wait for their export"),
            Self::Rejected(count, reason) => write!(f, "the collector rejects {count} of them: {reason}"),
        }
    }
}
