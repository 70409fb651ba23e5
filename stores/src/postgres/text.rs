//! Encodes texts for PostgreSQL, which does not support the character NUL. JSON strings can contain it.

use std::borrow::Cow;

/// The escape character. Hardly any text contains it.
const ESCAPE: char = '\u{1}';

/// Replaces NUL by U+FFFD, for texts that only people read, and because version 0.1 did so for all texts.
pub(super) fn writable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Returns true if version 0.1 wrote this text unchanged, and wrote no other text in the same way.
pub(super) fn was_unambiguous(text: &str) -> bool {
    !text.contains(['\0', '\u{fffd}'])
}

/// Encodes a text that is compared: different texts stay different.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', ESCAPE]) {
        Cow::Owned(text.replace(ESCAPE, "\u{1}1").replace('\0', "\u{1}0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Decodes a text that [`encode`] has encoded.
pub(super) fn decode(text: String) -> String {
    if text.contains(ESCAPE) { text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_texts_have_no_nul_and_stay_different() {
        let parts = ["\0", "\u{1}", "0", "1", "\u{fffd}"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer = texts.iter().flat_map(|text| parts.map(|part| format!("{text}{part}")));
            texts = texts.iter().cloned().chain(longer).collect();
        }
        texts.sort();
        texts.dedup();
        let mut encoded: Vec<String> = texts.iter().map(|text| encode(text).into_owned()).collect();
        assert!(encoded.iter().all(|text| !text.contains('\0')));
        let decoded: Vec<String> = encoded.iter().cloned().map(decode).collect();
        assert_eq!(decoded, texts);
        encoded.sort();
        encoded.dedup();
        assert_eq!(encoded.len(), texts.len());
    }
}
