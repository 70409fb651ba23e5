//! The standard variables. See
//! [the specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) and
//! [that of the exporter](https://opentelemetry.io/docs/specs/otel/protocol/exporter/).

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tracing::warn;

use crate::sampler::Sampler;
use crate::temporality::Temporality;
use crate::tls::CertificateFiles;

/// The time for a request to the collector, if no variable names one: the specification's.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that a variable can set, and that of a timeout of 0, which the specification reads as no limit.
const NO_LIMIT: Duration = Duration::from_millis(4_294_967_295);

/// The time between two exports of metrics, if no variable names one: the specification's.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// The batches of spans, if no variable sets them: the specification's.
const BATCHES: BatchLimits = BatchLimits { queue: 2048, batch: 512, delay: Duration::from_secs(5) };

/// The only protocol.
const PROTOCOL: &str = "http/protobuf";

/// The variable that turns all exports off.
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The resource attribute with the name of the service.
const SERVICE_NAME: &str = "service.name";

/// The bounds of batches, as the variables `OTEL_BSP_…` set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// The most spans that wait; more are dropped.
    pub(crate) queue: usize,
    /// The most spans of a request.
    pub(crate) batch: usize,
    /// The longest wait of a span for others.
    pub(crate) delay: Duration,
}

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
        if self.get(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return false;
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.name());
        match self.get(&variable) {
            None => self.of_signal(signal, "ENDPOINT").is_some(),
            Some(exporters) => {
                let exporters = exporters.to_ascii_lowercase();
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

    /// Logs a value that is neither true nor false where the specification has one of them. It counts as false.
    pub(crate) fn check_disabled(&self) {
        let known = |value: &str| value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
        if let Some(value) = self.get(DISABLED).filter(|value| !known(value)) {
            warn!(variable = DISABLED, value, "OpenTelemetry variable ignored: must be true or false");
        }
    }

    /// Logs a protocol that is not supported. http/protobuf is used instead.
    pub(crate) fn check_protocol(&self, signal: Signal) {
        if let Some(protocol) =
            self.of_signal(signal, "PROTOCOL").filter(|protocol| !protocol.eq_ignore_ascii_case(PROTOCOL))
        {
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
        pairs(&self.of_signal(signal, "HEADERS").unwrap_or_default())
    }

    /// Returns true if requests are compressed.
    pub(crate) fn gzip(&self, signal: Signal) -> bool {
        let Some(compression) = self.of_signal(signal, "COMPRESSION") else { return false };
        let is_gzip = compression.eq_ignore_ascii_case("gzip");
        if !is_gzip && !compression.eq_ignore_ascii_case("none") {
            warn!(compression, "OpenTelemetry compression ignored: must be gzip or none");
        }
        is_gzip
    }

    /// Returns the files of the certificates for `https`.
    pub(crate) fn certificates(&self, signal: Signal) -> CertificateFiles {
        CertificateFiles {
            trusted: self.of_signal(signal, "CERTIFICATE"),
            own: self.of_signal(signal, "CLIENT_CERTIFICATE"),
            key: self.of_signal(signal, "CLIENT_KEY"),
        }
    }

    /// Returns the attributes of the service, whose values are percent-encoded. `OTEL_SERVICE_NAME` replaces a name among them.
    pub(crate) fn resource_attributes(&self) -> Vec<(String, String)> {
        let mut attributes = pairs(&self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        if let Some(service) = self.get("OTEL_SERVICE_NAME") {
            attributes.retain(|(name, _)| name != SERVICE_NAME);
            attributes.push((SERVICE_NAME.to_owned(), service));
        }
        attributes
    }

    /// Returns the time for a request.
    pub(crate) fn timeout(&self, signal: Signal) -> Duration {
        let own = self.millis(&format!("OTEL_EXPORTER_OTLP_{}_TIMEOUT", signal.name()), 0);
        let timeout = own.or_else(|| self.millis("OTEL_EXPORTER_OTLP_TIMEOUT", 0)).unwrap_or(TIMEOUT);
        if timeout.is_zero() { NO_LIMIT } else { timeout }
    }

    /// Returns the time between two exports of metrics.
    pub(crate) fn metric_interval(&self) -> Duration {
        self.millis("OTEL_METRIC_EXPORT_INTERVAL", 1).unwrap_or(METRIC_INTERVAL)
    }

    /// Returns the temporality of exported counters and histograms. An unknown preference is logged and counts as none.
    pub(crate) fn temporality(&self) -> Temporality {
        const VARIABLE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(preference) = self.get(VARIABLE) else { return Temporality::Cumulative };
        Temporality::named(&preference).unwrap_or_else(|| {
            warn!(
                variable = VARIABLE,
                value = preference,
                "OpenTelemetry variable ignored: must be cumulative, delta or lowmemory"
            );
            Temporality::Cumulative
        })
    }

    /// Returns the bounds of the batches of spans. A batch is no larger than the queue.
    pub(crate) fn batches(&self) -> BatchLimits {
        let queue = self.count("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(BATCHES.queue);
        let batch = self.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(BATCHES.batch).min(queue);
        let delay = self.millis("OTEL_BSP_SCHEDULE_DELAY", 0).unwrap_or(BATCHES.delay);
        BatchLimits { queue, batch, delay }
    }

    /// Returns a number of at least 1. Any other value is logged, and counts as none.
    fn count(&self, variable: &str) -> Option<usize> {
        let value = self.get(variable)?;
        let count = value.parse().ok().filter(|count| *count > 0);
        if count.is_none() {
            warn!(variable, value, "OpenTelemetry variable ignored: must be a number above 0");
        }
        count
    }

    /// Returns a time of at least so many milliseconds. Any other value is logged, and counts as none.
    fn millis(&self, variable: &str, least: u64) -> Option<Duration> {
        let value = self.get(variable)?;
        let millis = value.parse::<u64>().ok().filter(|millis| *millis >= least);
        if millis.is_none() {
            warn!(variable, value, "OpenTelemetry variable ignored: must be a number of milliseconds");
        }
        millis.map(|millis| Duration::from_millis(millis).min(NO_LIMIT))
    }

    /// Returns the sampler. The specification demands that an unknown one is logged and the default used, and that an argument that
    /// cannot be used is logged and counts as none.
    pub(crate) fn sampler(&self) -> Sampler {
        let Some(name) = self.get("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let argument = self.get("OTEL_TRACES_SAMPLER_ARG");
        let named = |argument: Option<&str>| Sampler::named(&name.to_ascii_lowercase(), argument);
        if let Some(sampler) = named(argument.as_deref()) {
            return sampler;
        }
        if let Some(sampler) = named(None) {
            warn!(
                sampler = name,
                argument, "OpenTelemetry sampler argument ignored: must be a number from 0 to 1"
            );
            return sampler;
        }
        warn!(sampler = name, argument, "OpenTelemetry sampler unknown: parentbased_always_on is used");
        Sampler::default()
    }
}

/// Returns the pairs of `name=value,name=value`, whose values are percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let decoded = |value: &str| percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
    pairs.map(|(name, value)| (name.trim().to_owned(), decoded(value))).collect()
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
        is_on(true, false, of(&[BASE, ("OTEL_TRACES_EXPORTER", "OTLP"), ("OTEL_METRICS_EXPORTER", "None")]));
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

    #[test]
    fn a_value_that_cannot_be_used_counts_as_none() {
        const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
        const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1s");
        const NONE: (&str, &str) = ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none");
        let timeout = |variables: Variables<_>| variables.timeout(Signal::Traces);
        let second = Duration::from_secs(1);
        assert_eq!(timeout(of(&[BASE])), second);
        assert_eq!(timeout(of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "-1")])), TIMEOUT);
        assert_eq!(timeout(of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")])), NO_LIMIT);
        assert_eq!(timeout(of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "18446744073709551615")])), NO_LIMIT);
        assert_eq!(timeout(of(&[OWN, BASE])), second);
        let interval = |variables: Variables<_>| variables.metric_interval();
        assert_eq!(interval(of(&[("OTEL_METRIC_EXPORT_INTERVAL", "1000")])), second);
        assert_eq!(interval(of(&[("OTEL_METRIC_EXPORT_INTERVAL", "0")])), METRIC_INTERVAL);
        let gzip = |variables: Variables<_>| variables.gzip(Signal::Metrics);
        assert!(gzip(of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP")])));
        assert!(!gzip(of(&[NONE, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")])));
        assert!(!gzip(of(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")])));
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        assert_eq!(of(&[]).batches(), BATCHES);
        let set = of(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ]);
        let delay = Duration::from_millis(250);
        assert_eq!(set.batches(), BatchLimits { queue: 100, batch: 100, delay });
    }

    #[test]
    fn a_sampler_keeps_its_kind_if_its_argument_cannot_be_used() {
        const RATIO: (&str, &str) = ("OTEL_TRACES_SAMPLER", "TraceIdRatio");
        const HALF: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
        const WRONG: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "half");
        let sampler = |variables: Variables<_>| Some(variables.sampler());
        assert_eq!(sampler(of(&[RATIO, HALF])), Sampler::named("traceidratio", Some("0.5")));
        assert_eq!(sampler(of(&[RATIO, WRONG])), Sampler::named("traceidratio", None));
        assert_eq!(sampler(of(&[("OTEL_TRACES_SAMPLER", "jaeger_remote")])), Some(Sampler::default()));
        assert_eq!(sampler(of(&[HALF])), Some(Sampler::default()));
    }

    #[test]
    fn attributes_of_the_service_are_decoded_and_its_own_variable_names_it() {
        const ATTRIBUTES: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, team=b%2Cc%3Dd");
        let attributes = |variables: Variables<_>| variables.resource_attributes();
        let team = ("team".to_owned(), "b,c=d".to_owned());
        let name = |name: &str| ("service.name".to_owned(), name.to_owned());
        assert_eq!(attributes(of(&[ATTRIBUTES])), [name("a"), team.clone()]);
        assert_eq!(attributes(of(&[ATTRIBUTES, ("OTEL_SERVICE_NAME", "shop")])), [team, name("shop")]);
        assert_eq!(attributes(of(&[("OTEL_SERVICE_NAME", "shop")])), [name("shop")]);
    }

    #[test]
    fn a_signals_own_certificates_and_an_unknown_temporality() {
        let variables = of(&[
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/own.pem"),
            ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "/metrics.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ]);
        let path = |path: &str| Some(path.to_owned());
        let files =
            CertificateFiles { trusted: path("/ca.pem"), own: path("/own.pem"), key: path("/key.pem") };
        assert_eq!(variables.certificates(Signal::Traces), files);
        let of_metrics = CertificateFiles { own: path("/metrics.pem"), ..files };
        assert_eq!(variables.certificates(Signal::Metrics), of_metrics);
        assert_eq!(variables.temporality(), Temporality::Delta);
        let unknown = of(&[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "stateless")]);
        assert_eq!(unknown.temporality(), Temporality::Cumulative);
        assert_eq!(of(&[]).temporality(), Temporality::Cumulative);
    }
}
