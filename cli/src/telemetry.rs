//! Spans of jobs that the command line sends, if the variables `OTEL_*` ask for them.

#[cfg(feature = "otel")]
use std::time::Duration;

#[cfg(feature = "otel")]
use crate::format::note;

/// The time for the last spans at the end of a command: a person waits for its end.
#[cfg(feature = "otel")]
const FLUSH_TIME: Duration = Duration::from_secs(2);

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

    /// Exports what is recorded, and notes if the collector does not take it in time.
    pub(crate) async fn flush(self) {
        if let Some(exports) = self.exports
            && !exports.flush(FLUSH_TIME).await
        {
            note(&format!(
                "the collector of OTEL_EXPORTER_OTLP_ENDPOINT has not taken the spans within {FLUSH_TIME:?}: the traces of \
                 these jobs begin at the worker; OTEL_SDK_DISABLED=true turns them off"
            ));
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
