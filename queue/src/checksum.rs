//! The MD5 checksums of the SQS API. They detect transmission errors, and have no security purpose.
//!
//! The algorithm for attributes is described at
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use md5::{Digest, Md5};

use crate::api::MessageAttributeValue;

/// Marks a value sent as text (data types String and Number).
const TEXT_VALUE: u8 = 1;
/// Marks a value sent as bytes (data type Binary).
const BINARY_VALUE: u8 = 2;

/// Returns the MD5 of `bytes` in lower-case hexadecimal.
pub(crate) fn md5_of(bytes: &[u8]) -> Arc<str> {
    hex(&Md5::digest(bytes))
}

/// Returns the MD5 of a message's attributes in name order, or `None` if there are none.
pub(crate) fn md5_of_attributes(attributes: &BTreeMap<String, MessageAttributeValue>) -> Option<Arc<str>> {
    if attributes.is_empty() {
        return None;
    }
    let mut md5 = Md5::new();
    for (name, value) in attributes {
        add(&mut md5, name.as_bytes());
        add(&mut md5, value.data_type.as_bytes());
        if let Some(text) = &value.string_value {
            md5.update([TEXT_VALUE]);
            add(&mut md5, text.as_bytes());
        } else if let Some(bytes) = &value.binary_value {
            md5.update([BINARY_VALUE]);
            add(&mut md5, bytes);
        }
    }
    Some(hex(&md5.finalize()))
}

/// Adds a part, preceded by its length in four bytes, big-endian.
fn add(md5: &mut Md5, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("an attribute is at most 1 MiB long");
    md5.update(length.to_be_bytes());
    md5.update(part);
}

/// Returns `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> Arc<str> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_md5_is_the_known_one() {
        assert_eq!(&*md5_of(b"hello"), "5d41402abc4b2a76b9719d911017c592");
    }

    #[test]
    fn no_attributes_have_no_md5() {
        assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
    }
}
