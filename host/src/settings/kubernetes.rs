//! The variables that Kubernetes injects for a Service whose name begins with `drumline`.
//!
//! Every container of a namespace gets them, in the form of Docker's links. See
//! [environment variables of Services](https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).

use std::net::IpAddr;

/// Returns true if a Service's variable has this name and this value. The name alone is not enough, because an operator may
/// have used `DRUMLINE_HTTP_PORT` as a setting.
pub(super) fn injects(name: &str, value: &str) -> bool {
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_protocol = |text: &str| matches!(text, "tcp" | "udp" | "sctp");
    let is_endpoint = |text: &str| text.split_once("://").is_some_and(|(protocol, _)| is_protocol(protocol));
    let is_numbered = |port: &str, protocol: &str| is_port(port) && is_protocol(&protocol.to_lowercase());
    let parts: Vec<&str> = name.split('_').collect();
    match parts[..] {
        [.., "SERVICE", "HOST"] => is_address(value),
        [.., "SERVICE", "PORT"] => is_port(value),
        [.., "PORT", port, protocol] if is_numbered(port, protocol) => is_endpoint(value),
        [.., "PORT", port, protocol, "PROTO"] if is_numbered(port, protocol) => is_protocol(value),
        [.., "PORT", port, protocol, "PORT"] if is_numbered(port, protocol) => is_port(value),
        [.., "PORT", port, protocol, "ADDR"] if is_numbered(port, protocol) => is_address(value),
        [.., "PORT"] => is_endpoint(value),
        // The port's own name follows.
        _ => parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"]) && is_port(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_services_are_recognised_by_name_and_value() {
        let table = [
            ("DRUMLINE_SERVICE_HOST", "10.0.0.11", true),
            ("DRUMLINE_SERVICE_HOST", "fd00::1", true),
            ("DRUMLINE_SERVICE_PORT", "9464", true),
            ("DRUMLINE_SERVICE_PORT_HTTP", "9464", true),
            ("DRUMLINE_PORT", "tcp://10.0.0.11:9464", true),
            ("DRUMLINE_PORT_9464_TCP", "tcp://10.0.0.11:9464", true),
            ("DRUMLINE_PORT_9464_TCP_PROTO", "tcp", true),
            ("DRUMLINE_PORT_9464_TCP_PORT", "9464", true),
            ("DRUMLINE_PORT_9464_TCP_ADDR", "10.0.0.11", true),
            ("DRUMLINE_PORT_53_UDP", "udp://10.0.0.11:53", true),
            ("DRUMLINE_PORT_53_UDP_PROTO", "udp", true),
            ("DRUMLINE_METRICS_SERVICE_HOST", "10.0.0.11", true),
            ("DRUMLINE_METRICS_SERVICE_PORT", "9464", true),
            ("DRUMLINE_QUEUE_WORKER_PORT_80_TCP_ADDR", "10.0.0.11", true),
            ("DRUMLINE_HTTP_PORT", "tcp://10.0.0.11:80", true),
            ("DRUMLINE_HTTP_PORT", "9464", false),
            ("DRUMLINE_PORT", "9464", false),
            ("DRUMLINE_SERVICE_HOST", "worker", false),
            ("DRUMLINE_SERVICE_PORT", "http", false),
            ("DRUMLINE_PORT_9464_TCP_NAME", "a", false),
            ("DRUMLINE_PORT_RANGE", "1", false),
            ("DRUMLINE_FORWARD_URL", "tcp://10.0.0.11:80", false),
        ];
        for (name, value, is_injected) in table {
            assert_eq!(injects(name, value), is_injected, "{name}={value}");
        }
    }
}
