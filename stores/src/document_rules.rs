//! The rules of documents in all stores: invalid names and texts, and the condition of a change.

use std::time::Duration;

use crate::document::{MAX_DOCUMENT_BYTES, MAX_DOCUMENT_KEEP, MAX_DOCUMENT_NAME_BYTES};
use crate::store::StoreError;

/// Refuses invalid names of documents.
pub(crate) fn check_name(kind: &str, name: &str) -> Result<(), StoreError> {
    check_kind(kind)?;
    if name.is_empty() || name.len() > MAX_DOCUMENT_NAME_BYTES || name.contains(char::is_control) {
        return Err(StoreError::Refused(
            format!(
                "a document's name has 1 to {MAX_DOCUMENT_NAME_BYTES} bytes and no control characters: {name:?}"
            )
            .into(),
        ));
    }
    Ok(())
}

/// Refuses a kind that would be ambiguous within a key.
pub(crate) fn check_kind(kind: &str) -> Result<(), StoreError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if kind.is_empty() || kind.len() > 64 || !kind.bytes().all(is_plain) {
        let text = format!("a kind of documents is a word of lower-case letters: {kind:?}");
        return Err(StoreError::Refused(text.into()));
    }
    Ok(())
}

/// Refuses a text that some store could not store.
pub(crate) fn check_text(text: &str) -> Result<(), StoreError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let text = format!("a document of {} bytes, and the most is {MAX_DOCUMENT_BYTES}", text.len());
        return Err(StoreError::Refused(text.into()));
    }
    if text.contains('\0') {
        return Err(StoreError::Refused("a document cannot have the character NUL".into()));
    }
    Ok(())
}

/// Returns the time for which a document is kept, within its limit.
pub(crate) fn bounded(keep: Duration) -> Duration {
    keep.min(MAX_DOCUMENT_KEEP)
}

/// Returns true if a change may be made: the current text is the one that the caller has read, or the one that the caller has
/// already written in a call whose answer was lost.
pub(crate) fn may_change(current: Option<&str>, before: Option<&str>, after: &str) -> bool {
    current == before || current == Some(after)
}
