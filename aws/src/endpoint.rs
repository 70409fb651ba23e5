//! The endpoint that AWS's settings set for a service.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use url::{Host, Url};

use crate::environment::Environment;
use crate::http;

const EVERY_SERVICE: &str = "AWS_ENDPOINT_URL";

/// The services from which credentials may be fetched.
const OF_CREDENTIALS: [&str; 4] = ["STS", "SSO", "SSO OIDC", "SIGNIN"];

/// Checks the settings that a client of `services` (by their names in the SDK, such as `SQS`) reads from `environment`: its
/// proxies, `AWS_CA_BUNDLE` and endpoints.
///
/// # Errors
///
/// Returns an error text for the user with the variable's name if one of them is invalid.
pub fn check(environment: &Environment, services: &[&str]) -> Result<(), String> {
    let names = services.iter().chain(&OF_CREDENTIALS).map(|service| variable(service));
    for name in names.chain([EVERY_SERVICE.to_owned()]) {
        if let Some(text) = environment.get(&name) {
            usable(text).map_err(|problem| format!("{name} {problem}"))?;
        }
    }
    http::client(environment).map(drop)
}

/// Returns the endpoint that is set for `service`: by `AWS_ENDPOINT_URL_SERVICE`, by `AWS_ENDPOINT_URL`, or in the shared config
/// file, in this order.
///
/// # Errors
///
/// Returns an error text for the user if the endpoint is invalid.
pub fn endpoint(
    environment: &Environment,
    config: &SdkConfig,
    service: &str,
) -> Result<Option<String>, String> {
    let key =
        ServiceConfigKey::builder().service_id(service).env(EVERY_SERVICE).profile("endpoint_url").build();
    let key = key.expect("all three parts are set");
    let Some(text) = config.service_config().and_then(|settings| settings.load_config(key)) else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let own = variable(service);
    let source = environment.first([own.as_str(), EVERY_SERVICE]);
    let source = source.map_or("endpoint_url of the AWS profile", |(name, _)| name);
    usable(text).map_err(|problem| format!("{source} {problem}"))?;
    Ok(Some(text.to_owned()))
}

fn variable(service: &str) -> String {
    format!("{EVERY_SERVICE}_{}", service.to_uppercase().replace(' ', "_"))
}

fn usable(text: &str) -> Result<(), String> {
    let text = text.trim();
    // The SDK ignores a query, and logs that at each request.
    let is_plain = |url: &Url| url.query().is_none() && url.fragment().is_none();
    let is_endpoint = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain(&url);
    // The client's rules are stricter than those of URLs.
    if Url::parse(text).is_ok_and(is_endpoint) && text.parse::<::http::Uri>().is_ok() {
        return Ok(());
    }
    let shown = without_secrets(text);
    Err(format!("{shown:?} is not the URL of an endpoint: it looks like https://sqs.eu-west-1.amazonaws.com"))
}

/// Returns the text without possible secrets: user and password, query and fragment.
fn without_secrets(text: &str) -> String {
    // A password that is not encoded may contain any character, so it ends at the last `@`.
    let text = match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |end| &before[..end + 3]);
            format!("{scheme}***@{host}")
        }
        None => text.to_owned(),
    };
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Returns true if the URL's host is this machine's loopback interface.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    type Variables = [(&'static str, &'static str)];

    async fn of_sqs(environment: &Environment) -> Result<Option<String>, String> {
        let config = crate::loader(environment).unwrap().region("eu-west-1").load().await;
        endpoint(environment, &config, "SQS")
    }

    #[tokio::test]
    async fn the_service_s_own_variable_comes_first_and_the_profile_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let profile = "[default]\nendpoint_url = http://profile\nservices = local\n\
                       [services local]\nsqs =\n  endpoint_url = http://profile-sqs\n\
                       [profile plain]\nendpoint_url = http://plain\n";
        std::fs::write(&file, profile).unwrap();
        let file = file.to_str().unwrap();
        let table: [(&Variables, Option<&str>); 7] = [
            (&[], Some("http://profile-sqs")),
            (&[("AWS_PROFILE", "")], Some("http://profile-sqs")),
            (&[("AWS_PROFILE", "plain")], Some("http://plain")),
            (&[("AWS_ENDPOINT_URL", "http://all")], Some("http://all")),
            (
                &[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SQS", "http://own")],
                Some("http://own"),
            ),
            (&[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SQS", "")], Some("http://all")),
            (&[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("AWS_ENDPOINT_URL", "http://all")], None),
        ];
        for (variables, expected) in table {
            let with_file = [variables, &[("AWS_CONFIG_FILE", file)]].concat();
            let environment =
                with_file.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(of_sqs(&environment).await.unwrap().as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn an_unusable_endpoint_is_named() {
        for text in
            ["localhost:4566", "sqs.eu-west-1.amazonaws.com", "ftp://sqs", "http://", "http://a b", "true"]
        {
            for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"] {
                let environment = Environment::from([(name, text)]);
                for problem in
                    [of_sqs(&environment).await.unwrap_err(), check(&environment, &["SQS"]).unwrap_err()]
                {
                    assert!(problem.starts_with(&format!("{name} {text:?}")), "{problem}");
                }
            }
        }
        let of_tokens = Environment::from([("AWS_ENDPOINT_URL_SSO_OIDC", "x")]);
        assert!(check(&of_tokens, &["SQS"]).unwrap_err().contains("AWS_ENDPOINT_URL_SSO_OIDC"));
    }

    #[test]
    fn an_unusable_endpoint_is_named_without_its_secrets() {
        let table = [
            ("ftp://user:s3cret@sqs/?token=s3cret", "ftp://***@sqs/"),
            ("user:s3cret@sqs:4566", "***@sqs:4566"),
            ("http://user:s3cret?s3cret@a b", "http://***@a b"),
            ("sqs.example?token=s3cret", "sqs.example"),
            ("sqs.example#s3cret", "sqs.example"),
            ("https://sqs.example/?token=s3cret", "https://sqs.example/"),
        ];
        for (text, shown) in table {
            let problem = usable(text).unwrap_err();
            assert!(problem.starts_with(&format!("{shown:?} is not")), "{problem}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_known() {
        let table = [
            ("http://127.0.0.1:9324/0/jobs", true),
            ("http://[::1]:9324/0/jobs", true),
            ("http://localhost/0/jobs", true),
            ("http://sqs.localhost/0/jobs", true),
            ("http://sqs.internal:9324/0/jobs", false),
            ("https://sqs.eu-west-1.amazonaws.com/1/jobs", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
