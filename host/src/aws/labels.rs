//! The short names of queues in logs and metrics.

use std::sync::Arc;

use url::{Position, Url};

use super::address::Address;
use super::describe::queue_name;

/// Returns a label for each queue, for logs and metrics: its name, with a prefix that distinguishes queues with the same name,
/// the region or the account, such as `eu-west-1/jobs`.
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

/// Returns the region, or the host if it contains none; the account; and the name.
fn parts(url: &Url) -> [String; 3] {
    let region = Address::of(url).region;
    let region = region.unwrap_or_else(|| url[Position::BeforeHost..Position::AfterPort].to_owned());
    let account = url.path_segments().and_then(|mut parts| parts.next()).unwrap_or_default();
    [region, account.to_owned(), queue_name(url.path()).to_owned()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::queue_url::queue_url;
    use super::*;

    #[test]
    fn a_queue_that_is_given_by_its_name_is_called_by_it() {
        for name in ["jobs", "jobs.fifo", "a-b_C1"] {
            assert_eq!(&*queue_labels(&[&queue_url(name).unwrap()])[0], name);
        }
        let (by_name, by_arn) =
            (queue_url("jobs").unwrap(), queue_url("arn:aws:sqs:eu-west-1:1:jobs").unwrap());
        let labels = queue_labels(&[&by_name, &by_arn]);
        assert_eq!(labels.iter().map(|label| &**label).collect::<Vec<_>>(), ["jobs", "eu-west-1/jobs"]);
    }

    #[test]
    fn labels_distinguish_queues_with_the_same_name() {
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
