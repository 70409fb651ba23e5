//! The level of the lines that every job has.

use std::num::NonZeroU32;
use std::str::FromStr;

use tracing::{Level, enabled};

/// The level of the lines `started` and `done` of each job.
///
/// ```
/// use drumline_runtime::JobLog;
/// assert_eq!("debug".parse(), Ok(JobLog::Debug));
/// assert!("1/0".parse::<JobLog>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JobLog {
    /// At info.
    #[default]
    Info,
    /// At debug.
    Debug,
    /// One of `N` jobs at info, the others at debug. All attempts of a job have the same level, in each worker.
    Sample(NonZeroU32),
}

impl FromStr for JobLog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => text
                .strip_prefix("1/")
                .and_then(|count| count.parse().ok())
                .map(Self::Sample)
                .ok_or_else(|| "must be info, debug or a share such as 1/100".to_owned()),
        }
    }
}

impl JobLog {
    /// Returns true if the lines of this job are logged at info, and false if at debug. It reads no id if the line is disabled.
    pub(super) fn is_info(self, job_id: &str) -> bool {
        match self {
            Self::Info => true,
            Self::Debug => false,
            Self::Sample(count) => enabled!(Level::INFO) && hash(job_id).is_multiple_of(count.get()),
        }
    }
}

/// FNV-1a, which returns the same hash in each process.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::log_lines::logged;

    #[test]
    fn a_share_has_the_same_jobs_each_time() {
        let is_info = |log: JobLog| {
            let mut taken = Vec::new();
            logged(|| taken = (0..10_000).map(|id| log.is_info(&format!("job-{id}"))).collect());
            taken
        };
        let taken = is_info("1/100".parse().unwrap());
        let count = taken.iter().filter(|is_taken| **is_taken).count();
        assert!((50..200).contains(&count), "{count}");
        assert_eq!(taken, is_info("1/100".parse().unwrap()));
        assert!(is_info(JobLog::Info).iter().all(|is_taken| *is_taken));
        assert!(!is_info(JobLog::Debug).iter().any(|is_taken| *is_taken));
        for wrong in ["", "off", "1/", "1/0", "2/3", "100"] {
            assert!(wrong.parse::<JobLog>().is_err(), "{wrong}");
        }
    }
}
