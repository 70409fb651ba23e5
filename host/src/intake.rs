//! The rules by which a queue's messages become jobs, from its settings and its ARN.

use std::sync::Arc;

use drumline::message::{Intake, MAX_SCOPE_BYTES};
use url::Url;

use crate::settings::QueueSettings;

/// Returns the rules of a queue with these settings. `scope` is that of jobs whose settings set no other, see
/// [`default_scope`]; `legacy_records` is the setting with that name.
pub fn intake(settings: &QueueSettings, scope: Arc<str>, legacy_records: bool) -> Intake {
    Intake {
        scope,
        scope_by_type: settings.scope_by_type.clone(),
        default_type: settings.default_type.clone(),
        event_types: settings.event_types.clone(),
        require: settings.require,
        require_by_type: settings.require_by_type.clone(),
        legacy_keys: legacy_records,
    }
}

/// Returns the scope of a queue's jobs: the setting's, else the queue's ARN as SQS reports it, else the same text made of the
/// region, and the account and the name in the queue's URL.
///
/// # Errors
/// If the URL contains no account: an invented scope could differ in the next process.
pub fn default_scope(
    settings: &QueueSettings,
    arn: Option<&str>,
    region: Option<&str>,
) -> Result<Arc<str>, String> {
    if let Some(scope) = &settings.scope {
        return Ok(Arc::clone(scope));
    }
    // Accepts only an ARN, and not any text of an emulator, because a scope is stored and shown.
    let is_arn = |arn: &&str| {
        arn.starts_with("arn:") && arn.len() <= MAX_SCOPE_BYTES && !arn.contains(char::is_control)
    };
    if let Some(arn) = arn.filter(is_arn) {
        return Ok(arn.into());
    }
    region.and_then(|region| arn_of(&settings.url, region)).map(Arc::from).ok_or_else(|| {
        format!(
            "SQS does not report the ARN of {}, and its URL has no account to make one of: set DRUMLINE_SCOPE to a name of \
             this queue that never changes",
            settings.url
        )
    })
}

/// Returns `arn:aws:sqs:eu-west-1:123456789012:jobs` for `https://sqs.eu-west-1.amazonaws.com/123456789012/jobs`.
fn arn_of(queue_url: &Url, region: &str) -> Option<String> {
    /// Account ids have twelve digits. See
    /// [AWS account identifiers](https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html).
    const ACCOUNT_DIGITS: usize = 12;
    let mut segments = queue_url.path().trim_end_matches('/').rsplit('/');
    let (name, account) = (segments.next()?, segments.next()?);
    let is_account = account.len() == ACCOUNT_DIGITS && account.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition_of(region);
    (is_account && !name.is_empty()).then(|| format!("arn:{partition}:sqs:{region}:{account}:{name}"))
}

/// Returns the partition of a region. See
/// [partitions](https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html).
fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    let known = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    known.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::settings::Settings;

    fn settings(url: &str, scope: Option<&str>) -> QueueSettings {
        let environment = |name: &str| match name {
            "DRUMLINE_QUEUE_URL" => Some(url.to_owned()),
            "DRUMLINE_SCOPE" => scope.map(str::to_owned),
            _ => None,
        };
        Settings::read(&std::collections::BTreeMap::default(), environment, None).unwrap().queues[0].clone()
    }

    #[test]
    fn an_arn_is_made_of_the_url_and_the_region() {
        let table = [
            (
                "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs",
                "eu-west-1",
                Some("arn:aws:sqs:eu-west-1:123456789012:jobs"),
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs.fifo",
                "cn-north-1",
                Some("arn:aws-cn:sqs:cn-north-1:123456789012:jobs.fifo"),
            ),
            (
                "https://sqs.us-gov-west-1.amazonaws.com/123456789012/jobs",
                "us-gov-west-1",
                Some("arn:aws-us-gov:sqs:us-gov-west-1:123456789012:jobs"),
            ),
            (
                "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/jobs/",
                "eu-west-1",
                Some("arn:aws:sqs:eu-west-1:123456789012:jobs"),
            ),
            (
                "http://127.0.0.1:9324/000000000000/jobs",
                "us-east-1",
                Some("arn:aws:sqs:us-east-1:000000000000:jobs"),
            ),
            (
                "http://127.0.0.1:4566/queue/us-east-1/000000000000/jobs",
                "us-east-1",
                Some("arn:aws:sqs:us-east-1:000000000000:jobs"),
            ),
            ("http://127.0.0.1:9324/queue/jobs", "us-east-1", None),
            ("http://127.0.0.1:9324/1234/jobs", "us-east-1", None),
        ];
        for (url, region, arn) in table {
            assert_eq!(arn_of(&Url::parse(url).unwrap(), region).as_deref(), arn, "{url}");
        }
    }

    #[test]
    fn the_scope_is_the_settings_else_the_arn_else_made() {
        const URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
        const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";
        let scope = |url, own, arn, region| default_scope(&settings(url, own), arn, region);
        assert_eq!(&*scope(URL, Some("mail"), Some(ARN), Some("eu-west-1")).unwrap(), "mail");
        assert_eq!(&*scope(URL, None, Some(ARN), None).unwrap(), ARN);
        assert_eq!(&*scope(URL, None, None, Some("eu-west-1")).unwrap(), ARN, "the same text");
        let long = format!("arn:{}", "x".repeat(MAX_SCOPE_BYTES));
        for odd in ["", " ", "jobs", "arn:a\nb", &long] {
            assert_eq!(&*scope(URL, None, Some(odd), Some("eu-west-1")).unwrap(), ARN, "{odd:?}");
        }
        let unnamed = scope("http://127.0.0.1:9324/queue/jobs", None, None, Some("eu-west-1")).unwrap_err();
        assert!(unnamed.contains("DRUMLINE_SCOPE"), "{unnamed}");
    }
}
