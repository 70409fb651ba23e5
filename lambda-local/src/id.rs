//! Random identifiers in Lambda's formats.

/// Returns a random UUID of version 4, the format of request ids.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    let variant = ["8", "9", "a", "b"][fastrand::usize(..4)];
    format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Returns a sampled trace header in the format of X-Ray.
pub(crate) fn trace() -> String {
    format!(
        "Root=1-{:08x}-{:024x};Parent={:016x};Sampled=1",
        fastrand::u32(..),
        fastrand::u128(..) >> 32,
        fastrand::u64(..)
    )
}
