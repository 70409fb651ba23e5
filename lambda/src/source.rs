//! The queue that a record came from.

use drumline_runtime::aws::{queue_name, url_of_arn};
use url::Url;

/// A queue's ARN, split into its parts: `arn:aws:sqs:eu-west-1:123456789012:jobs`. See
/// [ARN format](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) url: Url,
}

impl Source {
    /// Parses an ARN. Returns `None` if the text is not the ARN of a queue.
    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        let url = url_of_arn(arn)?;
        Some(Self { name: queue_name(url.path()).to_owned(), url })
    }

    /// Returns the source of records that do not name their queue.
    pub(crate) fn unknown() -> Self {
        let url = Url::parse("https://unknown.invalid/unknown").expect("is a URL");
        Self { name: "unknown".to_owned(), url }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_contains_the_queues_name_and_url() {
        let table = [
            (
                "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo",
                Some(("jobs.fifo", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo")),
            ),
            (
                "arn:aws-cn:sqs:cn-north-1:123456789012:jobs",
                Some(("jobs", "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs")),
            ),
            ("arn:aws:sns:eu-west-1:123456789012:topic", None),
            ("jobs", None),
            ("", None),
        ];
        for (arn, expected) in table {
            let source = Source::of_arn(arn);
            let found = source.as_ref().map(|source| (source.name.as_str(), source.url.as_str()));
            assert_eq!(found, expected, "{arn}");
        }
    }
}
