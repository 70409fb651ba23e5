//! Keys and ids, kept in place.

use std::fmt;

/// A text that lies in its record if it is short. Elsewhere it would have to be fetched from cold memory to be compared,
/// and once more to be freed, which takes longer than all else that is done for a claim.
#[derive(Debug)]
pub(super) enum Text<const SHORT: usize> {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl<const SHORT: usize> Text<SHORT> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.bytes() == text.as_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }
}

impl<const SHORT: usize> From<&str> for Text<SHORT> {
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

impl<const SHORT: usize> fmt::Display for Text<SHORT> {
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
        const SHORT: usize = 38;
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 255, 256, 300] {
            let (text, other) = ("x".repeat(len), "y".repeat(len + 1));
            let kept = Text::<SHORT>::from(&*text);
            assert_eq!((kept.to_string(), kept.len()), (text.clone(), len));
            assert!(kept.is(&text) && !kept.is(&other), "{len}");
            assert!(Text::<300>::from(&*text).is(&text));
        }
        assert_eq!(Text::<SHORT>::from("ü😀").to_string(), "ü😀");
    }
}
