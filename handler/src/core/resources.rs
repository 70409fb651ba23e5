//! Errors that report a lack of this process or its machine: file descriptors or memory.
//!
//! They say nothing about the job, so they count as no attempt; see [`PauseReason::OutOfResources`](crate::core::PauseReason).

use std::error::Error;
use std::io;

/// `ENOMEM`, `ENFILE` and `EMFILE`: no memory, and no file descriptor left in the system or in the process. The same numbers
/// on every Unix. See [errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html).
const ERRNOS: [i32; 3] = [12, 23, 24];

/// The maximum number of an error's causes that are checked: longer chains are circles.
const MAX_CAUSES: usize = 32;

/// Returns true if the error, or one of its causes, is the operating system's word that file descriptors or memory are used
/// up.
///
/// ```
/// let too_many_open_files = std::io::Error::from_raw_os_error(24);
/// # #[cfg(unix)]
/// assert!(drumline::core::is_out_of_resources(&too_many_open_files));
/// ```
pub fn is_out_of_resources(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { return false };
        let Some(io) = error.downcast_ref::<io::Error>() else {
            if is_hidden_errno(error) {
                return true;
            }
            cause = error.source();
            continue;
        };
        let is_errno = cfg!(unix) && io.raw_os_error().is_some_and(|errno| ERRNOS.contains(&errno));
        if is_errno || io.kind() == io::ErrorKind::OutOfMemory {
            return true;
        }
        // An `io::Error` leaves out its inner error, and names only the causes of that.
        cause = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
    }
    false
}

/// Recognises an `io::Error` whose type is hidden, for example as the outermost error in a boxed `anyhow::Error`: it is its own
/// innermost error, and its text is that of the operating system's error.
fn is_hidden_errno(error: &(dyn Error + 'static)) -> bool {
    if cfg!(not(unix)) || error.source().is_some() {
        return false;
    }
    let text = error.to_string();
    let is = |errno: i32| {
        text.ends_with(&format!("(os error {errno})"))
            && text == io::Error::from_raw_os_error(errno).to_string()
    };
    ERRNOS.into_iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Around(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Around {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("around")
        }
    }

    impl Error for Around {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn the_whole_chain_is_looked_at() {
        for errno in ERRNOS {
            let error = || io::Error::from_raw_os_error(errno);
            assert!(is_out_of_resources(&error()), "{errno}");
            assert!(is_out_of_resources(&Around(Box::new(error()))));
            assert!(is_out_of_resources(&io::Error::other(error())));
            assert!(is_out_of_resources(&Around(Box::new(io::Error::other(Around(Box::new(error())))))));
        }
        assert!(is_out_of_resources(&io::Error::from(io::ErrorKind::OutOfMemory)));
    }

    #[test]
    fn other_errors_are_about_the_job() {
        // ECONNREFUSED, and a text without a number.
        for error in [io::Error::from_raw_os_error(111), io::Error::other("Too many open files")] {
            assert!(!is_out_of_resources(&error), "{error}");
            assert!(!is_out_of_resources(&Around(Box::new(error))));
        }
    }
}
