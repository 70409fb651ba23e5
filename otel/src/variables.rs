//! The standard variables, as far as the exporter does not read them itself. See
//! [the specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) and
//! [that of the exporter](https://opentelemetry.io/docs/specs/otel/protocol/exporter/).

use std::time::Duration;

use tracing::warn;

use crate::sampler::Sampler;

/// The time for a request to the collector, if no variable names one: the specification's.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The only protocol.
const PROTOCOL: &str = "http/protobuf";

/// A kind of data that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// The part of the variables' names.
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }
}

/// Reads variables. A blank one is unset.
#[derive(Clone, Copy)]
pub(crate) struct Variables<F>(pub(crate) F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable of a signal, else that of all signals.
    fn of_signal(&self, signal: Signal, what: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name()))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }

    /// Returns true if a signal is exported: an exporter is named, or no exporter and a collector. The specification's default, a
    /// collector on this machine, would have each worker without one log errors.
    pub(crate) fn is_on(&self, signal: Signal) -> bool {
        if self.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return false;
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.name());
        match self.get(&variable) {
            None => self.of_signal(signal, "ENDPOINT").is_some(),
            Some(exporters) => {
                let mut exporters = exporters.split(',').map(str::trim);
                let is_on = exporters.clone().any(|exporter| exporter == "otlp");
                if let Some(unknown) = exporters.find(|exporter| !matches!(*exporter, "otlp" | "none")) {
                    warn!(
                        variable,
                        exporter = unknown,
                        "OpenTelemetry exporter unknown: only otlp and none are"
                    );
                }
                is_on
            }
        }
    }

    /// Logs a protocol that is not there. What is exported goes by the only one.
    pub(crate) fn check_protocol(&self, signal: Signal) {
        if let Some(protocol) = self.of_signal(signal, "PROTOCOL").filter(|protocol| protocol != PROTOCOL) {
            warn!(
                protocol,
                "OpenTelemetry protocol not supported: http/protobuf is used, whose port is 4318 at most collectors"
            );
        }
    }

    /// Returns the address that a signal is sent to.
    pub(crate) fn endpoint(&self, signal: Signal) -> String {
        let own = self.get(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name()));
        own.unwrap_or_else(|| {
            let base = self.get("OTEL_EXPORTER_OTLP_ENDPOINT");
            let base = base.as_deref().unwrap_or("http://localhost:4318");
            format!("{}/{}", base.trim_end_matches('/'), signal.path())
        })
    }

    /// Returns the headers of each request, as `name=value,name=value`. Values are percent-encoded.
    pub(crate) fn headers(&self, signal: Signal) -> Vec<(String, String)> {
        let text = self.of_signal(signal, "HEADERS").unwrap_or_default();
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim().to_owned(), percent_decoded(value.trim()))).collect()
    }

    /// Returns the time for a request.
    pub(crate) fn timeout(&self, signal: Signal) -> Duration {
        let millis = self.of_signal(signal, "TIMEOUT").and_then(|text| text.parse().ok());
        millis.map_or(TIMEOUT, Duration::from_millis)
    }

    /// Returns the time between two exports of metrics.
    pub(crate) fn metric_interval(&self) -> Duration {
        let millis = self.get("OTEL_METRIC_EXPORT_INTERVAL").and_then(|text| text.parse().ok());
        millis.filter(|millis| *millis > 0).map_or(Duration::from_secs(60), Duration::from_millis)
    }

    /// Returns the sampler. One that is not known is logged, and the default used, as the specification demands.
    pub(crate) fn sampler(&self) -> Sampler {
        let Some(name) = self.get("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let argument = self.get("OTEL_TRACES_SAMPLER_ARG");
        Sampler::named(&name, argument.as_deref()).unwrap_or_else(|| {
            warn!(sampler = name, argument, "OpenTelemetry sampler unknown: parentbased_always_on is used");
            Sampler::default()
        })
    }
}

fn percent_decoded(text: &str) -> String {
    let (bytes, mut decoded, mut position) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(position) {
        let digits = text.get(position + 1..position + 3).filter(|_| *byte == b'%');
        if let Some(code) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(code);
            position += 3;
        } else {
            decoded.push(*byte);
            position += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &'static [(&'static str, &'static str)]) -> Variables<impl Fn(&str) -> Option<String>> {
        Variables(|name: &str| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_exported_without_an_exporter_or_a_collector() {
        const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let is_on = |traces, metrics, variables: Variables<_>| {
            assert_eq!(
                (variables.is_on(Signal::Traces), variables.is_on(Signal::Metrics)),
                (traces, metrics)
            );
        };
        is_on(false, false, of(&[]));
        is_on(true, true, of(&[BASE]));
        is_on(false, false, of(&[BASE, ("OTEL_SDK_DISABLED", "TRUE")]));
        is_on(true, true, of(&[BASE, ("OTEL_SDK_DISABLED", "no")]));
        is_on(false, true, of(&[BASE, ("OTEL_TRACES_EXPORTER", "none")]));
        is_on(true, false, of(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        is_on(true, false, of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector")]));
        is_on(false, false, of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
    }

    #[test]
    fn a_signal_s_own_address_stays_as_it_is() {
        let both = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics/here"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x = y,odd"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "250"),
        ]);
        assert_eq!(both.endpoint(Signal::Traces), "http://collector:4318/base/v1/traces");
        assert_eq!(both.endpoint(Signal::Metrics), "http://metrics/here");
        assert_eq!(of(&[]).endpoint(Signal::Traces), "http://localhost:4318/v1/traces");
        let headers =
            [("api-key", "a b"), ("x", "y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(both.headers(Signal::Metrics), headers);
        assert_eq!(both.timeout(Signal::Metrics), Duration::from_millis(250));
        assert_eq!(both.timeout(Signal::Traces), TIMEOUT);
    }
}
