//! The target of alerts: a webhook or an SNS topic.

use std::fmt;

use http::Uri;

/// The target of alerts, read from its setting.
#[derive(Clone, PartialEq, Eq)]
pub enum AlertTarget {
    /// A URL that receives JSON by POST. Its path is often a secret.
    Webhook(Uri),
    /// An SNS topic.
    Topic {
        /// Its ARN.
        arn: String,
        /// Its region.
        region: String,
    },
}

impl AlertTarget {
    /// Reads the URL of a webhook or the ARN of a topic.
    ///
    /// # Errors
    /// If it is neither, as a text that does not contain it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        if let ["arn", _, "sns", region, _, name] = parts[..]
            && !region.is_empty()
            && !name.is_empty()
        {
            return Ok(Self::Topic { arn: text.to_owned(), region: region.to_owned() });
        }
        let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let uri: Option<Uri> = text.parse().ok().filter(is_http);
        uri.map(Self::Webhook).ok_or_else(|| {
            "must be the URL of a webhook (https://…) or the ARN of an SNS topic (arn:aws:sns:…)".to_owned()
        })
    }
}

/// Omits the path, which may be a secret.
impl fmt::Debug for AlertTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(uri) => write!(f, "Webhook({})", uri.host().unwrap_or_default()),
            Self::Topic { arn, .. } => write!(f, "Topic({arn})"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_is_a_webhook_or_a_topic() {
        let webhook = AlertTarget::parse("https://hooks.example.com/s3cret").unwrap();
        assert!(matches!(&webhook, AlertTarget::Webhook(_)));
        assert_eq!(format!("{webhook:?}"), "Webhook(hooks.example.com)");
        let arn = "arn:aws-cn:sns:cn-north-1:123456789012:alerts.fifo";
        let topic = AlertTarget::Topic { arn: arn.to_owned(), region: "cn-north-1".to_owned() };
        assert_eq!(AlertTarget::parse(arn), Ok(topic));
        let wrong = [
            "",
            "alerts",
            "arn:aws:sqs:eu-west-1:123456789012:jobs",
            "arn:aws:sns::1:a",
            "ftp://host/",
            "https://",
        ];
        for text in wrong {
            assert!(AlertTarget::parse(text).unwrap_err().starts_with("must be"), "{text}");
        }
    }
}
