//! Identifiers: message ids and receipt handles, generated without a clock and without the operating system's randomness.

use std::fmt::Write as _;
use std::sync::Arc;

/// A source of identifiers that is a pure function of its seed.
///
/// The generator is `SplitMix64` (Steele, Lea, Flood 2014): good enough for distinct ids. The ids are not secret.
#[derive(Debug, Clone)]
pub(crate) struct IdSource {
    state: u64,
}

impl IdSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns an id in the form of a version 4 UUID, like SQS's message ids.
    pub(crate) fn uuid(&mut self) -> Arc<str> {
        let high = self.next_u64() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000;
        let low = self.next_u64() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
        let text = format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF
        );
        text.into()
    }
}

/// The content of a receipt handle: the queue, the message in it, and the receive of that message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptHandle {
    /// The queue's number. A queue that was deleted and created again under its old name has another number.
    pub(crate) queue: u64,
    /// The message's key within the queue.
    pub(crate) message: u64,
    /// The serial number of the receive.
    pub(crate) receipt: u64,
}

/// The length of a handle: three numbers of 16 hexadecimal digits each.
const HANDLE_LENGTH: usize = 48;

impl ReceiptHandle {
    pub(crate) fn encode(self) -> String {
        let mut text = String::with_capacity(HANDLE_LENGTH);
        write!(text, "{:016x}{:016x}{:016x}", self.queue, self.message, self.receipt)
            .expect("writing to a String cannot fail");
        text
    }

    /// Returns the parts of `text`, or `None` if it is not a handle.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        if text.len() != HANDLE_LENGTH || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u64::from_str_radix(&text[at..at + 16], 16).ok();
        Some(Self { queue: part(0)?, message: part(16)?, receipt: part(32)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_uuids_and_depend_on_the_seed_only() {
        let id = IdSource::new(7).uuid();
        assert_eq!(id, IdSource::new(7).uuid());
        assert_ne!(id, IdSource::new(8).uuid());
        let bytes = id.as_bytes();
        assert_eq!(bytes.len(), 36);
        assert_eq!(bytes[14], b'4');
        assert!(b"89ab".contains(&bytes[19]));
    }

    #[test]
    fn handles_survive_the_way_to_text_and_back() {
        let handle = ReceiptHandle { queue: u64::MAX, message: 0, receipt: 42 };
        assert_eq!(ReceiptHandle::decode(&handle.encode()), Some(handle));
    }

    #[test]
    fn what_is_not_a_handle_is_refused() {
        let long = "0".repeat(49);
        let wide = "é".repeat(24);
        let signed = format!("+{}", "0".repeat(47));
        for text in ["", "x", long.as_str(), wide.as_str(), signed.as_str()] {
            assert_eq!(ReceiptHandle::decode(text), None, "{text}");
        }
    }
}
