//! The names of queues in settings: URL, ARN, or name.

use url::Url;

use crate::shown::Shown;

/// The scheme of URLs for queues that are given by name, until [`resolve`](super::resolve()) finds their URL.
const NAME_SCHEME: &str = "sqs-name";

/// The maximum length of a queue's name, in characters.
const MAX_NAME: usize = 80;

/// Reads a queue's URL, its ARN (`arn:aws:sqs:eu-west-1:123456789012:jobs`), or its name. A name becomes a URL that only [`resolve`](super::resolve())
/// understands.
///
/// # Errors
/// If the text is none of them, in words for the user.
pub fn queue_url(text: &str) -> Result<Url, String> {
    if let Some(url) = url_of_arn(text) {
        return Ok(url);
    }
    if let Some(url) = url_of_name(text) {
        return Ok(url);
    }
    let shown = Shown::Urls.of(text);
    let url = Url::parse(text).map_err(|error| format!("{shown:?} is not a URL: {error}"))?;
    let has_name =
        url.path_segments().is_some_and(|mut parts| parts.next_back().is_some_and(|name| !name.is_empty()));
    if !matches!(url.scheme(), "http" | "https") || !has_name {
        return Err(format!(
            "{shown:?} is not a queue's URL; it looks like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME \
             (or, as an ARN, arn:aws:sqs:REGION:ACCOUNT:NAME; or it is the queue's name)"
        ));
    }
    let is_secret = !url.username().is_empty() || url.password().is_some();
    if is_secret || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{shown:?}: a queue's URL has no user, password, query or fragment"));
    }
    Ok(url)
}

/// Returns the URL of the queue with this ARN, `None` if it is not an ARN of a queue. See
/// [ARN format](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
pub fn url_of_arn(arn: &str) -> Option<Url> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "sqs", region, account, name] = parts[..] else { return None };
    let is_name = |text: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.bytes().all(is_allowed)
    };
    let domain = match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    let url = Url::parse(&format!("https://sqs.{region}.{domain}/{account}/{name}"));
    [region, account, name].into_iter().all(is_name).then_some(url.ok()?)
}

fn url_of_name(text: &str) -> Option<Url> {
    let base = text.strip_suffix(".fifo").unwrap_or(text);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = !base.is_empty() && text.len() <= MAX_NAME && base.bytes().all(is_allowed);
    is_name.then(|| Url::parse(&format!("{NAME_SCHEME}:{text}")).ok()).flatten()
}

/// Returns the name if the URL stands for a queue that is given by name.
pub fn name_of(url: &Url) -> Option<&str> {
    (url.scheme() == NAME_SCHEME).then(|| url.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::describe::queue_name;
    use super::*;

    #[test]
    fn an_arn_stands_for_its_url() {
        let table = [
            (
                "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo",
            ),
            (
                "arn:aws-cn:sqs:cn-north-1:123456789012:jobs",
                "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs",
            ),
            (
                "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:jobs",
                "https://sqs.us-gov-west-1.amazonaws.com/123456789012/jobs",
            ),
            (
                "arn:aws-iso-b:sqs:us-isob-east-1:123456789012:jobs",
                "https://sqs.us-isob-east-1.sc2s.sgov.gov/123456789012/jobs",
            ),
            ("http://127.0.0.1:9324/000000000000/jobs", "http://127.0.0.1:9324/000000000000/jobs"),
        ];
        for (text, url) in table {
            assert_eq!(queue_url(text).unwrap().as_str(), url);
        }
        for text in [
            "arn:aws:sns:eu-west-1:123456789012:topic",
            "arn:aws:sqs:eu-west-1:123456789012:",
            "arn:aws:sqs:eu-west-1/x:123456789012:jobs",
            "ftp://host/1/jobs",
            "https://sqs.eu-west-1.amazonaws.com/",
            "jobs:1",
            "jobs.lifo",
            "",
        ] {
            assert!(queue_url(text).unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn a_name_stands_for_the_queue_of_the_region() {
        for name in ["jobs", "jobs.fifo", "a-b_C1"] {
            let url = queue_url(name).unwrap();
            assert_eq!((name_of(&url), queue_name(url.as_str())), (Some(name), name));
        }
        assert!(queue_url(&"a".repeat(81)).is_err());
    }
}
