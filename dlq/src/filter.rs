//! The choice of dead letters: a letter must match all given conditions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fingerprint::FingerprintPrefix;
use crate::letter::Letter;
pub use crate::value_match::Match;

/// A choice of dead letters: a letter must match all given conditions.
///
/// ```
/// use drumline::message::{Intake, Message};
/// use drumline_dlq::Letter;
/// use drumline_dlq::filter::Filter;
///
/// let filter = Filter { matches: vec!["/payload/userId=17".parse()?], ..Filter::default() };
/// let letter = |body: &str| Letter::new(Message { body: body.into(), ..Message::default() }, &Intake::default());
/// assert!(filter.matches(&letter(r#"{"type":"email.send","payload":{"userId":17}}"#), 0));
/// assert!(!filter.matches(&letter(r#"{"type":"email.send","payload":{"userId":7}}"#), 0));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// The types of the job, one of which it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// A text in the class or the reason; case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fingerprints of the reason, one of which it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<FingerprintPrefix>,
    /// The minimum age since the letter was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Duration>,
    /// The ids of messages or jobs, one of which it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The values in the body, all of which it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
}

impl Filter {
    /// Returns true if the filter accepts every letter.
    pub fn is_open(&self) -> bool {
        let Self { types, reason, fingerprints, older_than, ids, matches } = self;
        types.is_empty()
            && reason.is_none()
            && fingerprints.is_empty()
            && older_than.is_none()
            && ids.is_empty()
            && matches.is_empty()
    }

    /// Returns true if the filter depends on a [history](Letter::learn). Other filters can be applied before the history is
    /// read.
    pub fn needs_history(&self) -> bool {
        !self.types.is_empty() || self.reason.is_some() || !self.fingerprints.is_empty()
    }

    /// Returns true if the filter depends on the history of this letter, which matches in everything else: a type in its
    /// message is final.
    pub fn needs_history_of(&self, letter: &Letter) -> bool {
        self.reason.is_some()
            || !self.fingerprints.is_empty()
            || !self.types.is_empty() && letter.job_type().is_none()
    }

    /// Returns true if the letter is chosen at this time, in milliseconds since the Unix epoch.
    pub fn matches(&self, letter: &Letter, now_ms: u64) -> bool {
        // The cheapest check is first.
        self.matches_message(letter, now_ms) && self.matches_cause(letter)
    }

    /// Returns true if the letter matches all conditions that need no history. A type in its message is final.
    pub fn matches_message(&self, letter: &Letter, now_ms: u64) -> bool {
        let is_old = |age: Duration| {
            letter.sent_ms().is_some_and(|sent| u128::from(now_ms.saturating_sub(sent)) >= age.as_millis())
        };
        let may_have_type = || letter.job_type().is_none_or(|known| self.has_type(known));
        (self.types.is_empty() || may_have_type())
            && self.older_than.is_none_or(is_old)
            && (self.ids.is_empty() || self.ids.iter().any(|id| letter.is_called(id)))
            && self.matches.iter().all(|value| value.holds(letter.body()))
    }

    fn has_type(&self, known: &str) -> bool {
        self.types.iter().any(|wanted| wanted == known)
    }

    fn matches_cause(&self, letter: &Letter) -> bool {
        let has_type = || letter.job_type().is_some_and(|known| self.has_type(known));
        let has_reason =
            |wanted: &String| letter.why().to_string().to_lowercase().contains(&wanted.to_lowercase());
        let has_fingerprint = || {
            let fingerprint = letter.fingerprint();
            self.fingerprints.iter().any(|prefix| prefix.matches(fingerprint))
        };
        (self.types.is_empty() || has_type())
            && self.reason.as_ref().is_none_or(has_reason)
            && (self.fingerprints.is_empty() || has_fingerprint())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::message::{Intake, Message};

    use super::*;
    use crate::fingerprint::Fingerprint;
    use crate::letter::{Cause, CauseSource};

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_type_that_the_message_names_needs_no_history() {
        let filter = Filter { types: vec!["image.process".into()], ..Filter::default() };
        assert!(!filter.matches_message(&letter(), NOW));
        let mut raw =
            Letter::new(Message { body: "no job".into(), ..Message::default() }, &Intake::default());
        assert!(filter.matches_message(&raw, NOW) && !filter.matches(&raw, NOW));
        assert!(filter.needs_history_of(&raw) && !filter.needs_history_of(&letter()));
        let reason = Filter { reason: Some("no such user".into()), ..filter.clone() };
        assert!(reason.needs_history_of(&letter()) && !Filter::default().needs_history_of(&raw));
        raw.learn(None, Some("image.process".into()));
        assert!(filter.matches(&raw, NOW));
    }

    fn letter() -> Letter {
        let message = Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","jobId":"j-1","payload":{"userId":7}}"#.to_owned(),
            sent_at: Some(Duration::from_millis(NOW - 3 * 86_400_000)),
            ..Message::default()
        };
        let mut letter = Letter::new(message, &Intake::default());
        let cause = Cause {
            reason: "No such user 17".to_owned(),
            class: Some("rejected".to_owned()),
            from: CauseSource::History,
        };
        letter.learn(Some(cause), None);
        letter
    }

    #[test]
    fn all_that_is_given_has_to_hold() {
        let fingerprint = Fingerprint::of_reason("No such user 4").to_string();
        let types = |types: &[&str]| Filter {
            types: types.iter().map(|t| (*t).to_owned()).collect(),
            ..Filter::default()
        };
        let ids =
            |ids: &[&str]| Filter { ids: ids.iter().map(|t| (*t).to_owned()).collect(), ..Filter::default() };
        let reason = |text: &str| Filter { reason: Some(text.to_owned()), ..Filter::default() };
        let old =
            |hours: u64| Filter { older_than: Some(Duration::from_secs(hours * 3_600)), ..Filter::default() };
        let prefix = |text: &str| Filter { fingerprints: vec![text.parse().unwrap()], ..Filter::default() };
        let values = |texts: &[&str]| Filter {
            matches: texts.iter().map(|text| text.parse().unwrap()).collect(),
            ..Filter::default()
        };
        let table = [
            (Filter::default(), true),
            (types(&["email.send"]), true),
            (types(&["image.process"]), false),
            (types(&["image.process", "email.send"]), true),
            (reason("no such USER"), true),
            (reason("rejected"), true),
            (reason("no route"), false),
            (old(48), true),
            (old(72), true),
            (old(73), false),
            (ids(&["m-1"]), true),
            (ids(&["j-1"]), true),
            (ids(&["j-2"]), false),
            (ids(&["j-2", "m-1"]), true),
            (Filter { types: vec!["image.process".to_owned()], ..ids(&["j-1"]) }, false),
            (prefix(&fingerprint), true),
            (prefix(&fingerprint[..4].to_uppercase()), true),
            (prefix("00000000"), false),
            (values(&["/payload/userId=7", "/jobId=j-1"]), true),
            (values(&["/payload/userId=7", "/jobId=j-2"]), false),
        ];
        for (filter, expected) in table {
            assert_eq!(filter.matches(&letter(), NOW), expected, "{filter:?}");
            assert_eq!(filter.is_open(), filter == Filter::default(), "{filter:?}");
            let text = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter, "{text}");
        }
    }

    #[test]
    fn a_letter_without_a_time_or_a_type_is_not_chosen_by_it() {
        let message = Message { id: "m".into(), body: "not a job".to_owned(), ..Message::default() };
        let letter = Letter::new(message, &Intake::default());
        let old = Filter { older_than: Some(Duration::ZERO), ..Filter::default() };
        let of_type = Filter { types: vec!["email.send".to_owned()], ..Filter::default() };
        for (filter, expected) in [(old, false), (of_type, false), (Filter::default(), true)] {
            assert_eq!(filter.matches(&letter, NOW), expected, "{filter:?}");
        }
    }
}
