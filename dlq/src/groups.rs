//! The numbers of dead letters by origin, type, failure class and fingerprint, in limited memory.

use std::collections::HashMap;

use serde::Serialize;

use crate::fingerprint::{Fingerprint, fingerprint};
use crate::letter::Letter;
use crate::mask::mask;
use crate::origin::claimed_origin;

/// A property by which letters are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The queue in which the letter died.
    Origin,
    /// The type of its job.
    Type,
    /// The class of its failure.
    Class,
    /// The fingerprint of its reason.
    Fingerprint,
}

impl By {
    /// All properties, in the order of columns.
    pub const ALL: [Self; 4] = [Self::Origin, Self::Type, Self::Class, Self::Fingerprint];
}

/// Letters that agree in all counted properties.
///
/// A property that is not counted is `None`, and so is one that is unknown for these letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The number of letters.
    pub count: u64,
    /// The queue in which they died: its ARN, or its name if a copy contains only that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The type of their jobs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// The class of their last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The fingerprint of their reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Their masked reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first of them that was seen.
    pub example: Example,
    /// The earliest time of sending, in milliseconds since the Unix epoch.
    #[serde(rename = "firstSentAt", skip_serializing_if = "Option::is_none")]
    pub first_sent_ms: Option<u64>,
    /// The latest time of sending, in milliseconds since the Unix epoch.
    #[serde(rename = "lastSentAt", skip_serializing_if = "Option::is_none")]
    pub last_sent_ms: Option<u64>,
    /// The numbers of their receives before this look.
    pub attempts: Attempts,
    /// True for the letters of all groups for which there was no more space.
    #[serde(skip)]
    pub is_rest: bool,
}

/// One letter of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The id of its message.
    pub message_id: String,
    /// The id of its job.
    pub job_id: String,
    /// The reason as it was written, shortened to some hundred characters.
    pub reason: String,
}

/// The least and the greatest number of receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Attempts {
    /// The least.
    pub min: u32,
    /// The greatest.
    pub max: u32,
}

/// The maximum length of an example's reason, in characters.
const MAX_EXAMPLE: usize = 500;

/// Letters counted in groups.
///
/// ```
/// use drumline::message::{Intake, Message};
/// use drumline_dlq::Letter;
/// use drumline_dlq::groups::{By, Groups};
///
/// let mut groups = Groups::new(&[By::Type], 10_000);
/// for user in 0..3 {
///     let body = format!(r#"{{"type":"email.send","payload":{{"userId":{user}}}}}"#);
///     groups.add(&Letter::new(Message { body, ..Message::default() }, &Intake::default()));
/// }
/// let rows = groups.into_rows();
/// assert_eq!((rows.len(), rows[0].count, rows[0].job_type.as_deref()), (1, 3, Some("email.send")));
/// ```
#[derive(Debug)]
pub struct Groups {
    by: Vec<By>,
    max: usize,
    by_key: HashMap<Key, Group>,
    rest: Option<Group>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    origin: Option<String>,
    job_type: Option<String>,
    class: Option<String>,
    fingerprint: Option<Fingerprint>,
}

impl Groups {
    /// Counts by these properties, in at most `max_groups` groups. Letters of further groups are counted together.
    pub fn new(by: &[By], max_groups: usize) -> Self {
        Self { by: by.to_vec(), max: max_groups, by_key: HashMap::new(), rest: None }
    }

    /// Counts a letter.
    pub fn add(&mut self, letter: &Letter) {
        let cause = letter.why();
        let owned = |by: By, text: Option<&str>| text.filter(|_| self.by.contains(&by)).map(str::to_owned);
        let reason = self.by.contains(&By::Fingerprint).then(|| mask(&cause.reason));
        let key = Key {
            origin: owned(By::Origin, claimed_origin(letter)),
            job_type: owned(By::Type, letter.job_type()),
            class: owned(By::Class, cause.class.as_deref()),
            fingerprint: reason.as_deref().map(fingerprint),
        };
        let example = || Example {
            message_id: letter.message().id.to_string(),
            job_id: letter.job_id().to_owned(),
            reason: cause.reason.chars().take(MAX_EXAMPLE).collect(),
        };
        let is_full = self.by_key.len() >= self.max && !self.by_key.contains_key(&key);
        let group = if is_full {
            self.rest
                .get_or_insert_with(|| Group { is_rest: true, ..Group::new(Key::default(), None, example()) })
        } else {
            self.by_key.entry(key).or_insert_with_key(|key| Group::new(key.clone(), reason, example()))
        };
        group.add(letter);
    }

    /// Returns true if there was no space for the groups of some letters.
    pub fn is_full(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns the groups, the largest first, and at the end the letters without their own group.
    pub fn into_rows(self) -> Vec<Group> {
        let mut groups: Vec<(Key, Group)> = self.by_key.into_iter().collect();
        groups.sort_by(|(one_key, one), (other_key, other)| {
            other.count.cmp(&one.count).then_with(|| one_key.cmp(other_key))
        });
        groups.into_iter().map(|(_, group)| group).chain(self.rest).collect()
    }
}

impl Group {
    fn new(key: Key, reason: Option<String>, example: Example) -> Self {
        let Key { origin, job_type, class, fingerprint } = key;
        Self {
            count: 0,
            origin,
            job_type,
            class,
            fingerprint,
            reason,
            example,
            first_sent_ms: None,
            last_sent_ms: None,
            attempts: Attempts { min: u32::MAX, max: 0 },
            is_rest: false,
        }
    }

    fn add(&mut self, letter: &Letter) {
        self.count += 1;
        if let Some(sent) = letter.sent_ms() {
            self.first_sent_ms = Some(self.first_sent_ms.map_or(sent, |first| first.min(sent)));
            self.last_sent_ms = Some(self.last_sent_ms.map_or(sent, |last| last.max(sent)));
        }
        let receives = letter.receives();
        self.attempts =
            Attempts { min: self.attempts.min.min(receives), max: self.attempts.max.max(receives) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use drumline::message::{Attribute, Intake, Message};

    use super::*;
    use crate::letter::{Cause, CauseSource, SOURCE_QUEUE_ATTRIBUTE};

    fn letter(number: u64, origin: &str, job_type: &str, class: &str, reason: &str) -> Letter {
        let message = Message {
            id: format!("m-{number}").into(),
            body: format!(r#"{{"type":"{job_type}","payload":{{}}}}"#),
            receive_count: u32::try_from(number % 5).unwrap_or_default() + 2,
            sent_at: Some(Duration::from_millis(1_000 + number)),
            attributes: [(SOURCE_QUEUE_ATTRIBUTE.to_owned(), Attribute::text(origin))].into(),
            ..Message::default()
        };
        let mut letter = Letter::new(message, &Intake::default());
        let cause =
            Cause { reason: reason.to_owned(), class: Some(class.to_owned()), from: CauseSource::History };
        letter.learn(Some(cause), None);
        letter
    }

    #[test]
    fn letters_of_one_cause_are_one_row_and_the_largest_is_first() {
        let mut groups = Groups::new(&By::ALL, 100);
        for number in 0..4_000 {
            groups.add(&letter(number, "jobs", "email.send", "rejected", &format!("no user {number}")));
            if number % 2 == 0 {
                groups.add(&letter(number, "mail", "email.send", "rejected", "no user 1"));
            }
        }
        groups.add(&letter(7, "jobs", "email.send", "timeout", "no user 1"));
        let rows = groups.into_rows();
        let counts: Vec<u64> = rows.iter().map(|row| row.count).collect();
        assert_eq!(counts, [4_000, 2_000, 1]);
        let row = &rows[0];
        assert_eq!(row.reason.as_deref(), Some("no user <n>"));
        assert_eq!((row.origin.as_deref(), row.class.as_deref()), (Some("jobs"), Some("rejected")));
        assert_eq!((row.first_sent_ms, row.last_sent_ms), (Some(1_000), Some(4_999)));
        assert_eq!(row.attempts, Attempts { min: 1, max: 5 });
        assert_eq!((&*row.example.message_id, &*row.example.reason), ("m-0", "no user 0"));
        assert_eq!(row.fingerprint, rows[1].fingerprint);
    }

    #[test]
    fn only_the_properties_that_are_asked_for_make_rows() {
        let mut groups = Groups::new(&[By::Type], 100);
        groups.add(&letter(1, "jobs", "email.send", "rejected", "no user 1"));
        groups.add(&letter(2, "mail", "email.send", "timeout", "too late"));
        let rows = groups.into_rows();
        assert_eq!((rows.len(), rows[0].count), (1, 2));
        assert_eq!((&rows[0].origin, &rows[0].class, rows[0].fingerprint), (&None, &None, None));
    }

    #[test]
    fn groups_beyond_the_room_are_counted_together() {
        let mut groups = Groups::new(&By::ALL, 2);
        for job_type in ["a.a", "b.b", "c.c", "d.d", "a.a", "c.c"] {
            groups.add(&letter(1, "jobs", job_type, "rejected", "no user 1"));
        }
        assert!(groups.is_full());
        let rows = groups.into_rows();
        let shown: Vec<_> =
            rows.iter().map(|row| (row.count, row.job_type.as_deref(), row.is_rest)).collect();
        assert_eq!(shown, [(2, Some("a.a"), false), (1, Some("b.b"), false), (3, None, true)]);
    }
}
