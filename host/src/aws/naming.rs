//! How a queue is named: by its URL or its ARN in settings, and by a short name in logs and metrics.

use std::sync::Arc;

use drumline::core::SqsErrorKind;
use url::{Position, Url};

use super::address::Address;
use super::client::Clients;
use super::describe::queue_name;
use super::errors::explain;
use crate::settings::Shown;
use crate::sqs::SqsError;

/// The scheme of URLs that stand for a queue that is given by its name, until [`resolve`] finds its URL.
const NAME_SCHEME: &str = "sqs-name";

/// The end of the error of a request for the URL that is not permitted.
const NEEDS_GET_QUEUE_URL: &str =
    "; a queue that is given by its name also needs sqs:GetQueueUrl, one by its URL or ARN does not";

/// The most characters of a queue's name.
const MAX_NAME: usize = 80;

/// Reads a queue's URL, its ARN (`arn:aws:sqs:eu-west-1:123456789012:jobs`), or its name. A name becomes a URL that only [`resolve`]
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

/// Returns the name if the URL stands for a queue that is given by its name.
pub fn name_of(url: &Url) -> Option<&str> {
    (url.scheme() == NAME_SCHEME).then(|| url.path())
}

/// Returns the queue's URL. A queue that is given by its name is asked for, in the region and the account of `clients`.
///
/// # Errors
/// If there is no queue of this name, or SQS does not answer.
pub async fn resolve(clients: &Clients, url: &Url) -> Result<Url, SqsError> {
    let Some(name) = name_of(url) else { return Ok(url.clone()) };
    let reply = match clients.calls.get_queue_url().queue_name(name).send().await {
        Ok(reply) => reply.queue_url.unwrap_or_default(),
        Err(error) => {
            let error = clients.in_context(explain("GetQueueUrl", &error)).await;
            let advice = if error.is_access_denied() { NEEDS_GET_QUEUE_URL } else { "" };
            return Err(SqsError { text: error.text + advice, ..error });
        }
    };
    let unusable = |error| SqsError::new(SqsErrorKind::Other, format!("GetQueueUrl: {reply:?}: {error}"));
    Url::parse(&reply).map_err(unusable)
}

/// Returns a label for each queue, for logs and metrics: its name, and before it what tells queues of one name apart, its region or
/// its account, such as `eu-west-1/jobs`.
pub fn queue_labels(urls: &[&Url]) -> Vec<Arc<str>> {
    let parts: Vec<[String; 3]> = urls.iter().map(|url| parts(url)).collect();
    let label = |own: &[String; 3]| {
        let [region, account, name] = own;
        let namesakes: Vec<_> = parts.iter().filter(|other| *other != own && other[2] == *name).collect();
        let is_unlike = |index: usize| namesakes.iter().all(|other| other[index] != own[index]);
        let words = if namesakes.is_empty() {
            vec![name]
        } else if is_unlike(0) {
            vec![region, name]
        } else if is_unlike(1) {
            vec![account, name]
        } else {
            vec![region, account, name]
        };
        let words = words.into_iter().map(String::as_str).filter(|word| !word.is_empty());
        Arc::from(words.collect::<Vec<_>>().join("/"))
    };
    parts.iter().map(label).collect()
}

/// Region, or host if it names none; account; name.
fn parts(url: &Url) -> [String; 3] {
    let region = Address::of(url).region;
    let region = region.unwrap_or_else(|| url[Position::BeforeHost..Position::AfterPort].to_owned());
    let account = url.path_segments().and_then(|mut parts| parts.next()).unwrap_or_default();
    [region, account.to_owned(), queue_name(url.path()).to_owned()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
            assert_eq!(&*queue_labels(&[&url])[0], name);
        }
        assert!(queue_url(&"a".repeat(81)).is_err());
        let (by_name, by_arn) =
            (queue_url("jobs").unwrap(), queue_url("arn:aws:sqs:eu-west-1:1:jobs").unwrap());
        let labels = queue_labels(&[&by_name, &by_arn]);
        assert_eq!(labels.iter().map(|label| &**label).collect::<Vec<_>>(), ["jobs", "eu-west-1/jobs"]);
    }

    #[test]
    fn queues_of_one_name_are_told_apart_and_others_are_called_by_it() {
        let table: [(&[&str], &[&str]); 5] = [
            (
                &["sqs.eu-west-1.amazonaws.com/1/jobs", "sqs.eu-west-1.amazonaws.com/1/mail"],
                &["jobs", "mail"],
            ),
            (
                &["sqs.eu-west-1.amazonaws.com/1/jobs", "sqs.us-east-1.amazonaws.com/1/jobs"],
                &["eu-west-1/jobs", "us-east-1/jobs"],
            ),
            (
                &["sqs.eu-west-1.amazonaws.com/1/jobs", "sqs.eu-west-1.amazonaws.com/2/jobs"],
                &["1/jobs", "2/jobs"],
            ),
            (
                &[
                    "sqs.eu-west-1.amazonaws.com/1/jobs.fifo",
                    "sqs.eu-west-1.amazonaws.com/2/jobs.fifo",
                    "sqs.us-east-1.amazonaws.com/1/jobs.fifo",
                ],
                &["eu-west-1/1/jobs.fifo", "2/jobs.fifo", "us-east-1/jobs.fifo"],
            ),
            (
                &["sqs.example:1/0/jobs", "sqs.example:2/0/jobs"],
                &["sqs.example:1/jobs", "sqs.example:2/jobs"],
            ),
        ];
        for (urls, labels) in table {
            let urls: Vec<Url> =
                urls.iter().map(|url| Url::parse(&format!("https://{url}")).unwrap()).collect();
            let found = queue_labels(&urls.iter().collect::<Vec<_>>());
            assert_eq!(found.iter().map(|label| &**label).collect::<Vec<_>>(), labels);
        }
    }
}
