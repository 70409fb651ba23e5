//! Words with digits that are names, units of numbers, and words that determine the kind of the next word.

/// Names that have digits, in lower case. Part of the masks' version.
const NAMES: [&str; 84] = [
    "aarch64", "aes128", "aes192", "aes256", "amd64", "arm64", "armv7", "b2b", "base32", "base58", "base64",
    "blake2", "blake3", "bz2", "bzip2", "crc32", "crc32c", "e2e", "ec2", "ed25519", "es256", "es384", "f32",
    "f64", "float32", "float64", "h2", "h264", "h265", "hs256", "hs512", "http1", "http2", "http3", "i128",
    "i16", "i18n", "i32", "i64", "i8", "int16", "int2", "int32", "int4", "int64", "int8", "ipv4", "ipv6",
    "iso8601", "json5", "k8s", "l10n", "lz4", "m3u8", "md5", "mp3", "mp4", "oauth2", "p12", "pkcs12",
    "pkcs8", "rfc2822", "rfc3339", "rs256", "rs512", "s3", "sha-1", "sha-256", "sha1", "sha256", "sha384",
    "sha512", "sqlite3", "u128", "u16", "u32", "u64", "u8", "utf-16", "utf-8", "utf16", "utf8", "x509",
    "x86_64",
];

/// More names, of several forms.
const MORE_NAMES: [&str; 15] = [
    "4xx", "5xx", "tls1", "tls10", "tls11", "tls12", "tls13", "uint16", "uint32", "uint64", "uint8", "win32",
    "x64", "x86", "xxh3",
];

/// Units directly after a number.
const UNITS: [&str; 37] = [
    "ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w", "sec", "secs", "min", "mins", "hr", "hrs", "b",
    "B", "kb", "kB", "KB", "KiB", "MB", "MiB", "GB", "GiB", "TB", "TiB", "k", "K", "M", "G", "Hz", "kHz",
    "MHz", "GHz", "px",
];

/// Endings of ordinal numbers.
const ORDINALS: [&str; 4] = ["st", "nd", "rd", "th"];

/// Units of durations, several of which may follow each other: `1h30m`, `1m 5s`.
const DURATIONS: [&str; 10] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w"];

/// Units after a number and a space.
const DISTANT_UNITS: [&str; 35] = [
    "ns",
    "us",
    "µs",
    "μs",
    "ms",
    "s",
    "min",
    "h",
    "B",
    "kB",
    "KB",
    "KiB",
    "MB",
    "MiB",
    "GB",
    "GiB",
    "TB",
    "TiB",
    "sec",
    "secs",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "byte",
    "bytes",
    "Hz",
    "percent",
    "%",
];

pub(super) fn is_name(word: &str) -> bool {
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    is_one_of(&NAMES) || is_one_of(&MORE_NAMES)
}

pub(super) fn is_unit(word: &str) -> bool {
    UNITS.contains(&word) || ORDINALS.contains(&word)
}

pub(super) fn is_duration(word: &str) -> bool {
    DURATIONS.contains(&word)
}

pub(super) fn is_distant_unit(word: &str) -> bool {
    DISTANT_UNITS.contains(&word)
}

/// Words before a status, in lower case, and the maximum number of the status's digits.
const STATUSES: [(&str, usize); 10] = [
    ("http", 3),
    ("http/<n>", 3),
    ("status", 3),
    ("status code", 3),
    ("exit code", 3),
    ("os error", 5),
    ("errno", 5),
    ("sqlstate", 5),
    ("signal", 3),
    ("exit status", 3),
];

/// Returns true if `masked` ends with words after which a number with `digits` digits is a status and not a value.
pub(super) fn announces_status(masked: &str, digits: usize) -> bool {
    let text = masked.trim_end_matches([' ', ':', '=', '(', '[']);
    STATUSES.iter().any(|(words, most)| digits <= *most && ends_with_words(text, words))
}

/// Words before a value in backquotes, as serde writes them.
const BACKQUOTED_VALUES: [&str; 3] = ["unknown variant", "boolean", "character"];

/// Returns true if `masked` ends with words after which backquotes contain a value and not a name.
pub(super) fn announces_value(masked: &str) -> bool {
    BACKQUOTED_VALUES.iter().any(|words| ends_with_words(masked.trim_end(), words))
}

/// Returns true if `masked` ends with the name of an SQL state.
pub(super) fn announces_sql_state(masked: &str) -> bool {
    ends_with_words(masked.trim_end_matches([' ', ':', '=', '(', '[']), "sqlstate")
}

fn ends_with_words(text: &str, words: &str) -> bool {
    let Some(start) = text.len().checked_sub(words.len()) else { return false };
    text.is_char_boundary(start)
        && text[start..].eq_ignore_ascii_case(words)
        && !text[..start].ends_with(char::is_alphanumeric)
}
