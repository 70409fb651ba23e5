//! The settings of payloads: the allowed sources, and the bucket for large ones.

use std::fmt;

use drumline::message::limits::MAX_MESSAGE_BYTES;
use drumline::message::{ContentEncoding, PayloadPointer};

/// The settings of payloads in S3, and of compressed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSettings {
    /// The buckets from which payloads are read.
    pub buckets: AllowedBuckets,
    /// The maximum size of a payload, in its object and after decompression.
    pub max_bytes: usize,
    /// The bucket into which a producer puts large payloads.
    pub bucket: Option<PayloadPlace>,
    /// The maximum size of a message, body and attributes, that a producer sends unchanged.
    pub threshold: usize,
    /// The compression of the bodies of larger messages by a producer.
    pub compression: Option<ContentEncoding>,
}

/// The defaults of the settings.
impl Default for PayloadSettings {
    fn default() -> Self {
        Self {
            buckets: AllowedBuckets::default(),
            max_bytes: 16 * 1024 * 1024,
            bucket: None,
            threshold: MAX_MESSAGE_BYTES - 32 * 1024,
            compression: None,
        }
    }
}

/// A bucket, or its keys with a prefix: `BUCKET`, or `BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadPlace {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys, exactly as given; empty for all.
    pub prefix: String,
}

impl PayloadPlace {
    /// Reads `BUCKET` or `BUCKET/PREFIX`.
    ///
    /// # Errors
    /// The expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) || prefix.contains(char::is_control) {
            return Err(
                "must be the name of a bucket, such as payloads, or with the beginning of its keys, such as \
                        payloads/orders/"
                    .to_owned(),
            );
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for PayloadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "{}{slash}{}", self.bucket, self.prefix)
    }
}

/// The buckets, or parts of them, from which payloads are read. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedBuckets(Vec<PayloadPlace>);

impl AllowedBuckets {
    /// Returns true if no payload is read from S3.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if this object may be read. An object with `..` in its path never may, because a server between here and S3
    /// might resolve it.
    pub fn allows(&self, pointer: &PayloadPointer) -> bool {
        let PayloadPointer { bucket, key } = pointer;
        let is_plain = !key.split('/').any(|part| part == "." || part == "..");
        is_plain && self.0.iter().any(|place| place.bucket == *bucket && key.starts_with(&place.prefix))
    }
}

/// Reads buckets that are separated by commas.
pub(crate) fn allowed_buckets(text: &str) -> Result<AllowedBuckets, String> {
    let places = text.split(',').map(str::trim).filter(|place| !place.is_empty());
    places.map(PayloadPlace::parse).collect::<Result<_, _>>().map(AllowedBuckets)
}

/// Reads a size within limits: `16MiB`, `992KiB`, or a number of bytes.
pub(crate) fn byte_size(text: &str, from: usize, to: usize) -> Result<usize, String> {
    let (number, unit) = match (text.strip_suffix("MiB"), text.strip_suffix("KiB")) {
        (Some(number), _) => (number, 1024 * 1024),
        (_, Some(number)) => (number, 1024),
        _ => (text, 1),
    };
    let bytes = number.trim().parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| (from..=to).contains(bytes))
        .ok_or_else(|| format!("must be a size from {} to {}, such as 512KiB", shown(from), shown(to)))
}

fn shown(bytes: usize) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1024 * 1024) => format!("{}MiB", bytes / (1024 * 1024)),
        _ if bytes.is_multiple_of(1024) => format!("{}KiB", bytes / 1024),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_named_parts_of_named_buckets_are_read() {
        let allowed = allowed_buckets("jobs, mail/out/ ,mail/in-,").unwrap();
        let table = [
            ("jobs", "any/key", true),
            ("jobs", "any/../key", false),
            ("jobs", "./key", false),
            ("jobs", "a..b", true),
            ("job", "any/key", false),
            ("jobs2", "any/key", false),
            ("mail", "out/1", true),
            ("mail", "outer/1", false),
            ("mail", "in-1", true),
            ("mail", "1", false),
        ];
        for (bucket, key, is_allowed) in table {
            let pointer = PayloadPointer { bucket: bucket.to_owned(), key: key.to_owned() };
            assert_eq!(allowed.allows(&pointer), is_allowed, "{pointer}");
            assert!(!AllowedBuckets::default().allows(&pointer));
        }
        assert!(allowed_buckets("").unwrap().is_empty());
        for text in ["/x", "s3://jobs/x", "a b", "jobs/\u{1}"] {
            assert!(allowed_buckets(text).unwrap_err().starts_with("must be"), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        let size = |text| byte_size(text, 1_024, 4 * 1024 * 1024);
        assert_eq!([size("4MiB"), size("1KiB"), size("5000")], [Ok(4 * 1024 * 1024), Ok(1_024), Ok(5_000)]);
        assert_eq!(size("2 KiB"), Ok(2_048));
        for text in ["", "0", "1023", "5MiB", "-1", "1.5MiB", "1MB", "99999999999999999999MiB"] {
            let error = size(text).unwrap_err();
            assert_eq!(error, "must be a size from 1KiB to 4MiB, such as 512KiB", "{text}");
        }
    }
}
