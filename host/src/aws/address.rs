//! The region and the endpoint of a queue URL. Unlike AWS's older SDKs, the one for Rust does not send requests to the host of
//! the queue's URL, so a URL with a FIPS or a VPC endpoint would have no effect.
//!
//! Hosts: [Amazon SQS endpoints](https://docs.aws.amazon.com/general/latest/gr/sqs-service.html) and
//! [VPC endpoints](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-internetwork-traffic-privacy.html).

use url::Url;

use super::queue_url::name_of;

/// The region of the oldest queue URLs, which contain none.
const LEGACY_REGION: &str = "us-east-1";

/// The parts of a queue's URL on which requests depend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The region in the host.
    pub(super) region: Option<String>,
    /// The URL's own endpoint. `None` if its host is the usual one of its region: then the SDK's rules apply, such as those of
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub(super) endpoint: Option<String>,
    /// True if the host is one of AWS's.
    pub(super) is_aws: bool,
}

impl Address {
    pub(super) fn of(queue_url: &Url) -> Self {
        if name_of(queue_url).is_some() {
            return Self { region: None, endpoint: None, is_aws: true };
        }
        let host = queue_url.host_str().unwrap_or_default().trim_end_matches('.');
        let labels: Vec<&str> = host.split('.').collect();
        let region = region(&labels).map(str::to_owned);
        let is_usual = match labels[..] {
            ["sqs", name, "amazonaws", "com"] | ["sqs", name, "amazonaws", "com", "cn"] => {
                is_region(name) && queue_url.scheme() == "https" && queue_url.port().is_none()
            }
            _ => false,
        };
        let endpoint = (!is_usual).then(|| queue_url.origin().ascii_serialization());
        Self { region, endpoint, is_aws: is_aws(&labels) }
    }
}

fn region<'a>(labels: &[&'a str]) -> Option<&'a str> {
    match labels {
        // Old URLs: eu-west-1.queue.amazonaws.com, and queue.amazonaws.com.
        ["queue", "amazonaws", "com"] => Some(LEGACY_REGION),
        [region, "queue", "amazonaws", ..] => Some(*region),
        // sqs.eu-west-1.amazonaws.com, vpce-0a1b.sqs.eu-west-1.vpce.amazonaws.com; LocalStack's hosts contain regions in the
        // same way.
        _ => {
            let service = labels.iter().position(|label| matches!(*label, "sqs" | "sqs-fips"))?;
            labels.get(service + 1).copied()
        }
    }
    .filter(|name| is_region(name))
}

/// Returns true for `eu-west-1`, `us-gov-east-1`, `us-isob-east-1`, `eusc-de-east-1`.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true if the host of a queue's URL is one of AWS's.
pub fn is_aws_host(queue_url: &Url) -> bool {
    Address::of(queue_url).is_aws
}

/// The domains of AWS's partitions, and those of their dual-stack endpoints.
const DOMAINS: [&[&str]; 13] = [
    &["amazonaws", "com"],
    &["amazonaws", "com", "cn"],
    &["api", "aws"],
    &["api", "amazonwebservices", "com", "cn"],
    &["c2s", "ic", "gov"],
    &["api", "aws", "ic", "gov"],
    &["sc2s", "sgov", "gov"],
    &["api", "aws", "scloud"],
    &["cloud", "adc-e", "uk"],
    &["csp", "hci", "ic", "gov"],
    &["api", "aws", "hci", "ic", "gov"],
    &["amazonaws", "eu"],
    &["api", "amazonwebservices", "eu"],
];

fn is_aws(labels: &[&str]) -> bool {
    DOMAINS.iter().any(|domain| labels.ends_with(domain))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_queue_url_names_its_region_and_its_endpoint() {
        // The host; its region; whether it is used unchanged; whether it is one of AWS's.
        let table = [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1"), false, true),
            ("sqs.us-gov-east-1.amazonaws.com", Some("us-gov-east-1"), false, true),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1"), false, true),
            ("sqs-fips.us-east-1.amazonaws.com", Some("us-east-1"), true, true),
            ("sqs.us-east-1.api.aws", Some("us-east-1"), true, true),
            ("sqs-fips.us-east-1.api.aws", Some("us-east-1"), true, true),
            ("sqs.cn-north-1.api.amazonwebservices.com.cn", Some("cn-north-1"), true, true),
            ("vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com", Some("eu-west-1"), true, true),
            ("vpce-1-2-eu-west-1a.sqs.eu-west-1.vpce.amazonaws.com", Some("eu-west-1"), true, true),
            ("vpce-1-2.sqs.cn-north-1.vpce.amazonaws.com.cn", Some("cn-north-1"), true, true),
            ("us-west-2.queue.amazonaws.com", Some("us-west-2"), true, true),
            ("queue.amazonaws.com", Some("us-east-1"), true, true),
            ("sqs.us-iso-east-1.c2s.ic.gov", Some("us-iso-east-1"), true, true),
            ("sqs.us-isob-east-1.sc2s.sgov.gov", Some("us-isob-east-1"), true, true),
            ("sqs.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1"), true, true),
            ("sqs.eu-west-1.localhost.localstack.cloud", Some("eu-west-1"), true, false),
            ("sqs.internal", None, true, false),
            ("sqs.example.com", None, true, false),
            ("amazonaws.com.example.org", None, true, false),
        ];
        for (host, region, own, is_aws) in table {
            let found = Address::of(&Url::parse(&format!("https://{host}/123456789012/jobs")).unwrap());
            let endpoint = own.then(|| format!("https://{host}"));
            assert_eq!(found, Address { region: region.map(str::to_owned), endpoint, is_aws }, "{host}");
        }
    }

    #[test]
    fn a_protocol_or_port_of_its_own_stays() {
        for url in ["http://sqs.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com:8443"] {
            let found = Address::of(&Url::parse(&format!("{url}/1/q")).unwrap());
            assert_eq!(found.endpoint.as_deref(), Some(url));
        }
        let found = Address::of(&Url::parse("http://[::1]:9324/0/jobs").unwrap());
        assert_eq!((found.endpoint.as_deref(), found.region), (Some("http://[::1]:9324"), None));
    }
}
