//! The queue in which a letter died.
//!
//! Only SQS's own attribute is reliable. Other attributes are texts of producers, which must not direct a replay to any queue
//! to which the operator may send: every origin must be one of the DLQ's sources.

use thiserror::Error;

use crate::letter::{Letter, SOURCE_QUEUE_ATTRIBUTE};

/// The attribute of a letter that was put back into its DLQ, with the ARN of the queue in which it died.
pub const ORIGIN_ATTRIBUTE: &str = "DrumlineOrigin";

/// Returns the queue in which the letter died, according to the letter: an ARN, or the name of a queue.
///
/// For display: a replay uses only [`origin`].
pub fn claimed_origin(letter: &Letter) -> Option<&str> {
    let message = letter.message();
    let by_sqs = message.dead_letter_source.as_deref().filter(|arn| !arn.is_empty());
    by_sqs
        .or_else(|| message.attribute(ORIGIN_ATTRIBUTE))
        .or_else(|| message.attribute(SOURCE_QUEUE_ATTRIBUTE))
}

/// The queues whose redrive policies name a DLQ, as `ListDeadLetterSourceQueues` returns them.
///
/// ```
/// use drumline_dlq::origin::Sources;
///
/// let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
/// let sources = Sources::new("arn:aws:sqs:eu-west-1:123456789012:jobs-dlq", [url.to_owned()]);
/// assert_eq!(sources.by_arn("arn:aws:sqs:eu-west-1:123456789012:jobs"), Some(url));
/// assert_eq!(sources.by_arn("arn:aws:sqs:eu-west-1:999999999999:jobs"), None);
/// ```
#[derive(Debug, Clone)]
pub struct Sources {
    urls: Vec<String>,
    /// The region of the DLQ, and therefore of its sources.
    region: Option<String>,
}

/// The reason why a letter has no origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoOrigin {
    /// Neither SQS nor an attribute contains one.
    #[error("the letter does not say in which queue it died; name a queue by --to")]
    Unknown,
    /// The queue is no source of the DLQ.
    #[error("{0} is no source of this DLQ; name a queue by --to")]
    NotAllowed(String),
    /// Several sources have the name.
    #[error("several sources of this DLQ are called {0}; name a queue by --to")]
    Ambiguous(String),
}

impl Sources {
    /// Makes the sources of the DLQ with this ARN from their URLs.
    pub fn new(dlq_arn: &str, urls: impl IntoIterator<Item = String>) -> Self {
        Self { urls: urls.into_iter().collect(), region: Arn::read(dlq_arn).map(|arn| arn.region.to_owned()) }
    }

    /// Returns the URLs, in SQS's order.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Returns the URL of the source with this ARN.
    pub fn by_arn(&self, arn: &str) -> Option<&str> {
        let arn = Arn::read(arn)?;
        if self.region.as_deref().is_some_and(|region| region != arn.region) {
            return None;
        }
        let is_meant = |url: &&String| account_and_name(url) == Some((arn.account, arn.name));
        self.urls.iter().find(is_meant).map(String::as_str)
    }

    /// Returns the URL of the only source with this name.
    fn by_name(&self, name: &str) -> Result<&str, NoOrigin> {
        let has_name = |url: &&String| account_and_name(url).is_some_and(|(_, own)| own == name);
        let mut found = self.urls.iter().filter(has_name);
        match (found.next(), found.next()) {
            (Some(url), None) => Ok(url),
            (Some(_), Some(_)) => Err(NoOrigin::Ambiguous(name.to_owned())),
            (None, _) => Err(NoOrigin::NotAllowed(name.to_owned())),
        }
    }
}

/// Returns the URL of the queue to which a letter is sent: `to` if it is given, else the queue in which the letter died, which
/// must be a source of its DLQ.
///
/// # Errors
/// If no allowed queue is known.
pub fn origin<'a>(letter: &Letter, sources: &'a Sources, to: Option<&'a str>) -> Result<&'a str, NoOrigin> {
    if let Some(to) = to {
        return Ok(to);
    }
    let message = letter.message();
    let by_sqs = message.dead_letter_source.as_deref().filter(|arn| !arn.is_empty());
    if let Some(arn) = by_sqs.or_else(|| message.attribute(ORIGIN_ATTRIBUTE)) {
        return sources.by_arn(arn).ok_or_else(|| NoOrigin::NotAllowed(arn.to_owned()));
    }
    message.attribute(SOURCE_QUEUE_ATTRIBUTE).map_or(Err(NoOrigin::Unknown), |name| sources.by_name(name))
}

/// The parts of a queue's ARN.
struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> Arn<'a> {
    fn read(arn: &'a str) -> Option<Self> {
        let mut parts = arn.split(':');
        let start = [parts.next()?, parts.next()?, parts.next()?];
        let ["arn", _partition, "sqs"] = start else { return None };
        let arn = Self { region: parts.next()?, account: parts.next()?, name: parts.next()? };
        parts.next().is_none().then_some(arn)
    }
}

/// Returns the last two parts of a queue's URL.
fn account_and_name(url: &str) -> Option<(&str, &str)> {
    let (rest, name) = url.rsplit_once('/')?;
    let (_, account) = rest.rsplit_once('/')?;
    Some((account, name))
}

#[cfg(test)]
mod tests {
    use drumline::message::{Attribute, Intake, Message};

    use super::*;

    const DLQ: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";
    const JOBS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
    const MAIL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/mail";
    const OTHER_JOBS: &str = "https://sqs.eu-west-1.amazonaws.com/210987654321/jobs";

    fn letter(by_sqs: Option<&str>, attributes: &[(&str, &str)]) -> Letter {
        let message = Message {
            dead_letter_source: by_sqs.map(str::to_owned),
            attributes: attributes
                .iter()
                .map(|(name, text)| ((*name).to_owned(), Attribute::text(*text)))
                .collect(),
            ..Message::default()
        };
        Letter::new(message, &Intake::default())
    }

    #[test]
    fn an_origin_has_to_be_a_source_of_the_dlq() {
        let arn = |account: &str, name: &str| format!("arn:aws:sqs:eu-west-1:{account}:{name}");
        let jobs = arn("123456789012", "jobs");
        let mail = arn("123456789012", "mail");
        let secret = arn("123456789012", "payments");
        let foreign = arn("999999999999", "jobs");
        let elsewhere = "arn:aws:sqs:us-east-1:123456789012:jobs".to_owned();
        let not_allowed = |arn: &str| Err(NoOrigin::NotAllowed(arn.to_owned()));
        let table: [(&[&str], Letter, Result<&str, NoOrigin>); 14] = [
            (&[JOBS, MAIL], letter(Some(&mail), &[]), Ok(MAIL)),
            (&[JOBS, MAIL], letter(Some(&mail), &[(ORIGIN_ATTRIBUTE, &jobs)]), Ok(MAIL)),
            (
                &[JOBS, MAIL],
                letter(None, &[(ORIGIN_ATTRIBUTE, &jobs), (SOURCE_QUEUE_ATTRIBUTE, "mail")]),
                Ok(JOBS),
            ),
            (&[JOBS, MAIL], letter(None, &[(SOURCE_QUEUE_ATTRIBUTE, "mail")]), Ok(MAIL)),
            (&[JOBS, OTHER_JOBS], letter(Some(&jobs), &[]), Ok(JOBS)),
            (&[JOBS], letter(Some(&secret), &[]), not_allowed(&secret)),
            (&[JOBS], letter(Some(&secret), &[(ORIGIN_ATTRIBUTE, &jobs)]), not_allowed(&secret)),
            (&[JOBS], letter(None, &[(ORIGIN_ATTRIBUTE, &secret)]), not_allowed(&secret)),
            (&[JOBS], letter(None, &[(ORIGIN_ATTRIBUTE, &foreign)]), not_allowed(&foreign)),
            (&[JOBS], letter(None, &[(ORIGIN_ATTRIBUTE, &elsewhere)]), not_allowed(&elsewhere)),
            (&[JOBS], letter(None, &[(ORIGIN_ATTRIBUTE, JOBS)]), not_allowed(JOBS)),
            (&[JOBS], letter(None, &[(SOURCE_QUEUE_ATTRIBUTE, "payments")]), not_allowed("payments")),
            (
                &[JOBS, OTHER_JOBS],
                letter(None, &[(SOURCE_QUEUE_ATTRIBUTE, "jobs")]),
                Err(NoOrigin::Ambiguous("jobs".to_owned())),
            ),
            (&[JOBS], letter(Some(""), &[]), Err(NoOrigin::Unknown)),
        ];
        for (urls, letter, expected) in table {
            let sources = Sources::new(DLQ, urls.iter().map(|url| (*url).to_owned()));
            assert_eq!(origin(&letter, &sources, None), expected);
            assert_eq!(origin(&letter, &sources, Some("https://x/1/y")), Ok("https://x/1/y"));
        }
    }

    #[test]
    fn the_sources_of_an_emulator_have_its_region() {
        let url = "http://127.0.0.1:9324/000000000000/jobs";
        let sources = Sources::new("arn:aws:sqs:us-east-1:000000000000:jobs-dlq", [url.to_owned()]);
        assert_eq!(sources.by_arn("arn:aws:sqs:us-east-1:000000000000:jobs"), Some(url));
        assert_eq!(sources.by_arn("arn:aws:sqs:us-east-1:000000000000:jobs:x"), None);
        assert_eq!(sources.by_arn("jobs"), None);
    }
}
