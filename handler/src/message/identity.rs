//! The identity of a job: (scope, type, source, id). A message may be deleted without a run only if a run of the same identity
//! has succeeded, so two jobs with different work must never share one.
//!
//! Stores use a key of the four parts, each after its length, so that no text of a producer can end one part and begin the
//! next. See ADR 0009.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The longest key that is stored as readable text, in bytes; a longer one is replaced by its SHA-256. `DynamoDB` allows 2,048
/// bytes for a partition key, with a prefix.
pub const MAX_IDENTITY_KEY_BYTES: usize = 1024;

/// The longest scope, in bytes. A queue's ARN has at most some 150.
pub const MAX_SCOPE_BYTES: usize = 256;

/// The longest job type, in bytes.
pub const MAX_TYPE_BYTES: usize = 256;

/// The longest source (CloudEvents `source`, topic ARN, bucket), in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024;

/// The jobs among which an idempotency key that the job's code computes is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyScope {
    /// Within the job's scope, type and source, like every other id. The default.
    #[default]
    Job,
    /// Everywhere: the same key in another queue, of another type, or from another source is the same work. For effects
    /// that several job types have in common, such as one charge per invoice.
    Global,
}

/// The identity of a job.
///
/// ```
/// use drumline::message::Identity;
///
/// let shop_a = Identity::new("arn:aws:sqs:eu-west-1:123456789012:orders", "order.created", Some("/shop-a"), "1");
/// let shop_b = Identity::new("arn:aws:sqs:eu-west-1:123456789012:orders", "order.created", Some("/shop-b"), "1");
/// assert_ne!(shop_a.key(), shop_b.key());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    key: Arc<str>,
    scope: Arc<str>,
    job_type: Arc<str>,
    source: Option<Arc<str>>,
    id: Arc<str>,
    job_id: Arc<str>,
}

impl Identity {
    /// An identity whose id is also the job's id. An empty source is no source.
    pub fn new(
        scope: impl Into<Arc<str>>,
        job_type: impl Into<Arc<str>>,
        source: Option<&str>,
        id: impl Into<Arc<str>>,
    ) -> Self {
        Self::scoped(scope.into(), job_type.into(), source, "", id.into())
    }

    /// The identity of a job whose only id is its message's. No job with an own id can have this identity, for any id that its
    /// producer gives it; a replay of the message has it by the attribute [`DrumlineJobId`](crate::message::JOB_ID_ATTRIBUTE).
    pub fn of_message(
        scope: impl Into<Arc<str>>,
        job_type: impl Into<Arc<str>>,
        source: Option<&str>,
        message_id: impl Into<Arc<str>>,
    ) -> Self {
        Self::scoped(scope.into(), job_type.into(), source, MESSAGE, message_id.into())
    }

    fn scoped(scope: Arc<str>, job_type: Arc<str>, source: Option<&str>, kind: &str, id: Arc<str>) -> Self {
        let source = source.filter(|source| !source.is_empty()).map(Arc::from);
        let key = key(&[&scope, &job_type, source.as_deref().unwrap_or_default()], kind, &id);
        Self { key, scope, job_type, source, job_id: Arc::clone(&id), id }
    }

    /// The identity of a global key, see [`KeyScope::Global`].
    pub fn global(
        scope: impl Into<Arc<str>>,
        job_type: impl Into<Arc<str>>,
        id: impl Into<Arc<str>>,
    ) -> Self {
        let (scope, job_type, id) = (scope.into(), job_type.into(), id.into());
        let mut key = "*,".to_owned();
        push_part(&mut key, &escape_controls(&id));
        let key = bounded(key);
        Self { key, scope, job_type, source: None, job_id: Arc::clone(&id), id }
    }

    /// Returns the same identity for a job that has another id for display and look-ups.
    #[must_use]
    pub fn with_job_id(self, job_id: impl Into<Arc<str>>) -> Self {
        Self { job_id: job_id.into(), ..self }
    }

    /// The key under which stores keep all records of the job. Equal only for equal identities; at most
    /// [`MAX_IDENTITY_KEY_BYTES`], without control characters.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The scope within which the id is unique: the queue's ARN unless a setting names another one.
    pub fn scope(&self) -> &Arc<str> {
        &self.scope
    }

    /// The job's type; empty if it is unknown.
    pub fn job_type(&self) -> &Arc<str> {
        &self.job_type
    }

    /// The origin of the event: `source` of a `CloudEvent` or an EventBridge event, the ARN of an SNS topic, the bucket of
    /// an S3 event.
    pub fn source(&self) -> Option<&Arc<str>> {
        self.source.as_ref()
    }

    /// The id: the first that exists of the key that the job's code computes, `idempotencyKey`, `jobId`, the envelope's own id,
    /// and the message id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The id for look-ups by people: `jobId`, else the envelope's own id, else the message id, or that of the replayed
    /// message.
    pub fn job_id(&self) -> &Arc<str> {
        &self.job_id
    }
}

/// The prefix of the id of a message in a key: other parts begin with a digit.
const MESSAGE: &str = "m";

fn key(parts: &[&str; 3], kind: &str, id: &str) -> Arc<str> {
    let key = joined(parts, kind, id);
    // One check of all parts: the characters between them need no escapes.
    if may_need_escapes(&key) {
        let [scope, job_type, source] = parts.map(escape_controls);
        return bounded(joined(&[&scope, &job_type, &source], kind, &escape_controls(id)));
    }
    bounded(key)
}

fn joined(parts: &[&str; 3], kind: &str, id: &str) -> String {
    let bytes: usize = parts.iter().map(|part| part.len() + 5).sum();
    let mut key = String::with_capacity(bytes + id.len() + 5);
    for text in parts {
        push_part(&mut key, text);
        key.push(',');
    }
    key.push_str(kind);
    push_part(&mut key, id);
    key
}

/// Writes a part after its length, in bytes as written.
fn push_part(key: &mut String, text: &str) {
    let length = text.len();
    if length < 100 {
        let digit = |number: usize| char::from(b"0123456789"[number % 10]);
        if length >= 10 {
            key.push(digit(length / 10));
        }
        key.push(digit(length));
    } else {
        // Long parts are rare, and the formatter is the slowest step. Writing into a text cannot fail.
        let _ = write!(key, "{length}");
    }
    key.push(':');
    key.push_str(text);
}

/// Returns true for every text that escapes would change, and for a few others: control characters are ASCII, or begin with the
/// byte 0xC2. All bytes are checked, many at a time, because hardly any text needs escapes.
fn may_need_escapes(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | matches!(byte, ..b' ' | 0x7f | b'%' | 0xc2))
}

/// Replaces each control character by `%{X}`, where X is its code in hexadecimal, and each `%{` by `%{25}{`. Different texts
/// stay different, and the result fits into an HTTP header and into every store. Percent-encoded texts do not change.
///
/// ```
/// assert_eq!(drumline::message::escape_controls("a\u{0}b 100% %41 %{0}"), "a%{0}b 100% %41 %{25}{0}");
/// ```
pub fn escape_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for (index, c) in text.char_indices() {
        if c.is_control() || (c == '%' && text[index + 1..].starts_with('{')) {
            // Writing into a text cannot fail.
            let _ = write!(escaped, "%{{{:x}}}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// The key itself, or its hash. A readable key begins with a digit or `*`, so it never looks like a hash.
fn bounded(key: String) -> Arc<str> {
    if key.len() <= MAX_IDENTITY_KEY_BYTES {
        return key.into();
    }
    let mut hash = String::from("sha256:");
    for byte in Sha256::digest(key.as_bytes()) {
        let _ = write!(hash, "{byte:02x}");
    }
    hash.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn identity(parts: &[String; 4]) -> Identity {
        let [scope, job_type, source, id] = parts;
        Identity::new(scope.as_str(), job_type.as_str(), Some(source), id.as_str())
    }

    #[test]
    fn stored_keys_never_change_their_format() {
        let arn = "arn:aws:sqs:eu-west-1:123456789012:jobs";
        let table = [
            (
                Identity::new(arn, "a.b", None, "j-1"),
                "39:arn:aws:sqs:eu-west-1:123456789012:jobs,3:a.b,0:,3:j-1",
            ),
            (Identity::new("mail", "a", Some("/shop"), "ä"), "4:mail,1:a,5:/shop,2:ä"),
            (Identity::new("mail", "a", None, "50%\u{0}"), "4:mail,1:a,0:,7:50%%{0}"),
            (Identity::new("mail", "a", None, "%41"), "4:mail,1:a,0:,3:%41"),
            (Identity::new("mail", "a", None, "%{0}"), "4:mail,1:a,0:,8:%{25}{0}"),
            (Identity::of_message("mail", "a", None, "m-1"), "4:mail,1:a,0:,m3:m-1"),
            (Identity::global("mail", "a", "charge:7"), "*,8:charge:7"),
        ];
        for (identity, key) in table {
            assert_eq!(&**identity.key(), key);
        }
        let long = Identity::new("mail", "a", None, "x".repeat(1_100));
        assert_eq!(&**long.key(), "sha256:2cb706b05fe11e4802c5a20cf23fdfbbf1257175955fdf31da8835416ceac302");
    }

    proptest! {
        #[test]
        fn a_key_is_its_escaped_parts_behind_their_lengths(
            odd in proptest::array::uniform3("([a-z]|\\PC|\\pC|[%{}\u{80}-\u{a3}]){0,12}"),
            length in 0..300_usize,
        ) {
            let [scope, source, id] = &odd;
            let job_type = "x".repeat(length);
            let part = |text: &str| {
                let escaped = escape_controls(text);
                format!("{}:{escaped}", escaped.len())
            };
            let parts = [scope, job_type.as_str(), source].map(part).join(",");
            let identity = Identity::new(scope.as_str(), job_type.as_str(), Some(source), id.as_str());
            prop_assert_eq!(&**identity.key(), format!("{parts},{}", part(id)));
            let identity = Identity::of_message(scope.as_str(), job_type.as_str(), Some(source), id.as_str());
            prop_assert_eq!(&**identity.key(), format!("{parts},m{}", part(id)));
            let identity = Identity::global(scope.as_str(), job_type.as_str(), id.as_str());
            prop_assert_eq!(&**identity.key(), format!("*,{}", part(id)));
        }
    }

    #[test]
    fn an_id_cannot_reach_into_another_scope() {
        let victim = Identity::new("mail", "welcome", None, "1");
        let forgeries =
            ["1", "welcome,0:,1:1", "7:welcome,0:,1:1", "4:mail,7:welcome,0:,1:1", "*,1:1", "\u{0}1"];
        for id in forgeries {
            for scope in ["other", "", "4:mail,7:welcome", "mail,7"] {
                for job_type in ["welcome", "", "7:welcome"] {
                    let forged = Identity::new(scope, job_type, None, id);
                    assert_ne!(forged.key(), victim.key(), "{scope:?} {job_type:?} {id:?}");
                }
            }
        }
        assert_ne!(Identity::global("mail", "welcome", "1").key(), victim.key());
        for id in ["1", "m1:1", "m1"] {
            assert_ne!(
                Identity::of_message("mail", "welcome", None, "1").key(),
                Identity::new("mail", "welcome", None, id).key()
            );
        }
        // The hash of a long key, given as an id.
        let long = Identity::new("mail", "welcome", None, "x".repeat(5_000));
        let forged = Identity::new("mail", "welcome", None, &**long.key());
        assert_ne!(forged.key(), long.key());
    }

    #[test]
    fn ids_that_differ_in_control_characters_only_stay_different() {
        let ids = [
            "a",
            "a\u{0}",
            "a\u{1}",
            "a\u{fffd}",
            "a%00",
            "a%{0}",
            "a%{1}",
            "a\u{7f}",
            "a\u{80}",
            "a ",
            "a\n",
            "a\r",
        ];
        let keys: std::collections::HashSet<Arc<str>> =
            ids.iter().map(|id| Arc::clone(Identity::new("s", "t", None, *id).key())).collect();
        assert_eq!(keys.len(), ids.len());
        assert!(keys.iter().all(|key| !key.contains(char::is_control)));
    }

    proptest! {
        #[test]
        fn keys_are_equal_only_for_equal_identities(
            one in prop::array::uniform4("[a:,0-9%{}*\u{0}]{0,6}"),
            other in prop::array::uniform4("[a:,0-9%{}*\u{0}]{0,6}"),
        ) {
            prop_assert_eq!(identity(&one).key() == identity(&other).key(), one == other);
        }

        #[test]
        fn escapes_are_equal_only_for_equal_texts(one in "[%{}025\u{0}\u{2}\u{80}]{0,6}", other in "[%{}025\u{0}\u{2}\u{80}]{0,6}") {
            prop_assert_eq!(escape_controls(&one) == escape_controls(&other), one == other);
        }

        #[test]
        fn keys_are_bounded(parts in prop::array::uniform4("\\PC{0,400}|[\u{0}-\u{1f}]{0,400}")) {
            prop_assert!(identity(&parts).key().len() <= MAX_IDENTITY_KEY_BYTES);
        }
    }
}
