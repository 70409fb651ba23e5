//! The errors of connections, as reasons.

use std::error::Error;
use std::io;

use super::answer::one_line;

/// The maximum number of inspected causes of an error: longer chains are circular.
const MAX_CAUSES: usize = 32;

/// Returns the innermost cause of a failed request in one line: `connection refused (111)`.
pub fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    for _ in 0..MAX_CAUSES {
        if let Some(io) = innermost.downcast_ref::<io::Error>() {
            if let Some(errno) = io.raw_os_error() {
                let text = io.to_string().replace(&format!(" (os error {errno})"), "");
                return format!("{} ({errno})", text.to_lowercase());
            }
            // An `io::Error` omits the error that it wraps, and returns only its causes.
            if let Some(inner) = io.get_ref() {
                innermost = inner;
                continue;
            }
        }
        match innermost.source() {
            Some(cause) => innermost = cause,
            None => break,
        }
    }
    one_line(&innermost.to_string())
}
