//! The HTTP client of all AWS clients: TLS, and a proxy if the environment sets one.

use aws_smithy_http_client::proxy::{ProxyConfig, ProxyError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::environment::Environment;
use crate::trust::tls_context;

/// Hosts that never use a proxy: this machine, and the addresses at which EC2, ECS and EKS serve metadata and credentials. A
/// proxy would return its own data, or nothing.
const DIRECT: &str =
    "localhost,127.0.0.0/8,::1,169.254.169.254,fd00:ec2::254,169.254.170.2,169.254.170.23,fd00:ec2::23";

/// The network configuration that an environment describes.
struct Way {
    context: TlsContext,
    http: ProxyConfig,
    https: ProxyConfig,
}

impl Way {
    fn of(environment: &Environment) -> Result<Self, String> {
        let context = tls_context(environment)?;
        let direct = direct(environment);
        let config = |config: Option<Result<ProxyConfig, _>>| match config {
            Some(config) => {
                config.map(|config| config.no_proxy(&direct)).map_err(|error: ProxyError| error.to_string())
            }
            None => Ok(ProxyConfig::disabled()),
        };
        let https = config(proxy(environment, ["HTTPS_PROXY", "https_proxy"])?.map(ProxyConfig::https))?;
        let http = config(proxy(environment, ["HTTP_PROXY", "http_proxy"])?.map(ProxyConfig::http))?;
        Ok(Self { context, http, https })
    }
}

/// Returns true if requests to `endpoint` go through a proxy. Invalid settings count as a proxy: [`check`](crate::check)
/// reports them.
pub fn is_behind_proxy(environment: &Environment, endpoint: &Url) -> bool {
    let names = if endpoint.scheme() == "http" {
        ["HTTP_PROXY", "http_proxy"]
    } else {
        ["HTTPS_PROXY", "https_proxy"]
    };
    let Ok(proxy) = proxy(environment, names) else { return true };
    let (Some(proxy), Ok(endpoint)) = (proxy, endpoint.as_str().parse()) else { return false };
    let matcher = Matcher::builder().all(proxy).no(direct(environment)).build();
    matcher.intercept(&endpoint).is_some()
}

/// Returns the hosts that bypass the proxy.
fn direct(environment: &Environment) -> String {
    let exceptions = environment.first(["NO_PROXY", "no_proxy"]).map_or("", |(_, hosts)| hosts);
    [exceptions, DIRECT].join(",")
}

/// Returns the client that `environment` describes.
pub(crate) fn client(environment: &Environment) -> Result<SharedHttpClient, String> {
    let Way { context, http, https } = Way::of(environment)?;
    if http.is_disabled() && https.is_disabled() {
        return Ok(Builder::new().tls_provider(provider()).tls_context(context).build_https());
    }
    let client = |proxy: ProxyConfig| {
        let context = context.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            connector(&context, &proxy, settings, components)
        })
    };
    Ok(SharedHttpClient::new(ByScheme { http: client(http), https: client(https) }))
}

/// Returns a connector that sends single requests with the clients' network configuration, without retries or timeouts.
///
/// # Errors
///
/// Returns an error text for the user if a proxy or `AWS_CA_BUNDLE` is invalid.
pub fn connector_of(environment: &Environment) -> Result<SharedHttpConnector, String> {
    let Way { context, http, https } = Way::of(environment)?;
    let shared = |proxy| SharedHttpConnector::new(connector(&context, proxy, None, None));
    Ok(SharedHttpConnector::new(ConnectorByScheme { http: shared(&http), https: shared(&https) }))
}

fn connector(
    context: &TlsContext,
    proxy: &ProxyConfig,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let connector = Connector::builder().tls_provider(provider()).tls_context(context.clone());
    let mut connector = connector.proxy_config(proxy.clone());
    connector.set_connector_settings(settings.cloned());
    connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
    connector.build()
}

fn provider() -> Provider {
    Provider::Rustls(CryptoMode::Ring)
}

/// Returns a proxy's URL. Errors never contain its user and password.
fn proxy(environment: &Environment, names: [&str; 2]) -> Result<Option<String>, String> {
    let Some((name, text)) = environment.first(names) else { return Ok(None) };
    // Like in curl, a proxy's protocol is HTTP unless its URL has another scheme.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let is_proxy = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match Url::parse(&text) {
        Ok(url) if is_proxy(&url) && text.parse::<::http::Uri>().is_ok() => Ok(Some(text)),
        _ => Err(format!(
            "{name} is not the URL of an HTTP proxy: it looks like http://proxy.example.com:3128"
        )),
    }
}

/// Two clients, because a client supports only one proxy.
#[derive(Debug)]
struct ByScheme {
    http: SharedHttpClient,
    https: SharedHttpClient,
}

impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ConnectorByScheme {
            http: self.http.http_connector(settings, components),
            https: self.https.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct ConnectorByScheme {
    http: SharedHttpConnector,
    https: SharedHttpConnector,
}

impl HttpConnector for ConnectorByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_plain = request.uri().starts_with("http://");
        if is_plain { self.http.call(request) } else { self.https.call(request) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_by_either_name() {
        let read = |variables: [(&str, &str); 2]| {
            proxy(&Environment::from(variables), ["HTTPS_PROXY", "https_proxy"])
        };
        let table = [
            ([("HTTPS_PROXY", "http://p:3128"), ("https_proxy", "http://q:3128")], Some("http://p:3128")),
            ([("HTTPS_PROXY", ""), ("https_proxy", "http://q:3128")], Some("http://q:3128")),
            ([("HTTPS_PROXY", "p:3128"), ("HTTP_PROXY", "x")], Some("http://p:3128")),
            ([("HTTPS_PROXY", "https://u:s%40@p"), ("HTTP_PROXY", "x")], Some("https://u:s%40@p")),
            ([("HTTP_PROXY", "http://p:3128"), ("http_proxy", "")], None),
        ];
        for (variables, expected) in table {
            assert_eq!(read(variables).as_ref().map(Option::as_deref), Ok(expected), "{variables:?}");
        }
    }

    #[test]
    fn an_endpoint_is_behind_a_proxy_unless_an_exception_names_it() {
        const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy:3128");
        let table = [
            (PROXY, "", "https://sqs.eu-west-1.amazonaws.com", true),
            (PROXY, "other,.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com", false),
            (PROXY, "*", "https://sqs.eu-west-1.amazonaws.com", false),
            (PROXY, "", "http://sqs.internal:4566", false),
            (PROXY, "", "https://127.0.0.1:4566", false),
            (PROXY, "", "https://localhost:4566", false),
            (PROXY, "", "https://[::1]:4566", false),
            (("http_proxy", "proxy"), "", "http://sqs.internal:4566", true),
            (("http_proxy", "proxy"), "10.0.0.0/8", "http://10.1.2.3:4566", false),
            (("HTTPS_PROXY", ""), "", "https://sqs.eu-west-1.amazonaws.com", false),
        ];
        for (proxy, exceptions, endpoint, expected) in table {
            let environment = Environment::from([proxy, ("NO_PROXY", exceptions)]);
            let endpoint = Url::parse(endpoint).expect("it is a URL");
            assert_eq!(
                is_behind_proxy(&environment, &endpoint),
                expected,
                "{proxy:?} {exceptions} {endpoint}"
            );
        }
    }

    #[test]
    fn an_unusable_proxy_is_named_without_its_password() {
        for text in [
            "socks5://u:secret@p:1080",
            "http://",
            "http://u:secret@:1",
            "u:secret@p:port",
            "http://u:secret@p a",
        ] {
            let problem = client(&Environment::from([("https_proxy", text)])).err();
            let problem = problem.unwrap_or_else(|| panic!("{text}"));
            assert!(problem.contains("https_proxy") && !problem.contains("secret"), "{problem}");
        }
    }
}
