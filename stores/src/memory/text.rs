//! Keys and ids, kept in place.

use std::fmt;

/// As long as a UUID and a little more: what nearly all keys and ids are at most.
const SHORT: usize = 38;

/// A text that lies in its record where it is short. Elsewhere it would have to be fetched from cold memory to be compared,
/// and once more to be freed, which takes longer than all else that is done for a claim.
#[derive(Debug)]
pub(super) enum Text {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Text {
    pub(super) fn is(&self, text: &str) -> bool {
        self.bytes() == text.as_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Self::Short { len, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It was a text when it came.
        f.write_str(&String::from_utf8_lossy(self.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_stays_what_it_is() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 255, 256, 300] {
            let (text, other) = ("x".repeat(len), "y".repeat(len + 1));
            let kept = Text::from(&*text);
            assert_eq!((kept.to_string(), kept.len()), (text.clone(), len));
            assert!(kept.is(&text) && !kept.is(&other), "{len}");
        }
        assert_eq!(Text::from("ü😀").to_string(), "ü😀");
    }
}
