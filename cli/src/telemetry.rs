//! Spans of jobs that the command line sends, if the variables `OTEL_*` ask for them.

#[cfg(feature = "otel")]
use std::time::Duration;

/// The time for the last spans at the end of a command.
#[cfg(feature = "otel")]
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// The exports of a command.
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    exports: Option<drumline_otel::Telemetry>,
}

#[cfg(feature = "otel")]
impl Telemetry {
    /// Starts what the environment asks for, on the current runtime.
    pub(crate) fn start() -> Self {
        let exports = drumline_otel::Telemetry::start(drumline_otel::TraceParent::Message);
        if let Some(exports) = &exports {
            exports.trace_sends();
        }
        Self { exports }
    }

    /// Exports what is recorded.
    pub(crate) async fn flush(self) {
        if let Some(exports) = self.exports {
            exports.flush(FLUSH_TIME).await;
        }
    }
}

#[cfg(not(feature = "otel"))]
#[allow(clippy::unused_async, reason = "as with the feature")]
impl Telemetry {
    pub(crate) fn start() -> Self {
        Self {}
    }

    pub(crate) async fn flush(self) {}
}
