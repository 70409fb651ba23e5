//! The fingerprint of a reason: eight hexadecimal digits for all reasons with the same masked text.
