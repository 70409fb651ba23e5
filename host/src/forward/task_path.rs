//! The path in an attribute of a periodic task, which any producer can set.

/// The maximum length of a task's path, in bytes.
const MAX_PATH: usize = 1_024;

/// Characters that must not be encoded, because servers that decode them before they compare paths see other segments.
const ENCODED: [&str; 5] = ["%2e", "%2f", "%5c", "%25", "%00"];

/// Returns the path and query of the request, if `path` is the target's own path or below it.
///
/// A query of the target was set by the operator, and replaces the task's.
pub(super) fn task_path(own: &str, own_query: Option<&str>, task: &str) -> Option<String> {
    let (path, query) = task.split_once('?').map_or((task, None), |(path, query)| (path, Some(query)));
    if task.len() > MAX_PATH || !is_plain(path) {
        return None;
    }
    let below = path.strip_prefix(own.trim_end_matches('/'))?;
    if !below.is_empty() && !below.starts_with('/') {
        return None;
    }
    Some(match own_query.or(query) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

/// Returns true if no server can interpret the path as one with other segments.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let Some(segments) = path.strip_prefix('/') else { return false };
    // A slash at the end is no segment.
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    // Some servers remove the text after a semicolon.
    let name = |segment: &'_ str| segment.split(';').next().unwrap_or_default().to_owned();
    let is_name = |segment: &str| !matches!(name(segment).as_str(), "" | "." | "..");
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && !ENCODED.iter().any(|encoded| lower.contains(encoded))
        && (path == "/" || segments.split('/').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_at_or_below_the_targets_is_asked_for() {
        for (own, task) in [
            ("/", "/"),
            ("/", "/nightly"),
            ("/jobs", "/jobs"),
            ("/jobs", "/jobs/"),
            ("/jobs", "/jobs/nightly/v1.2"),
            ("/jobs/", "/jobs/a%20b"),
        ] {
            assert_eq!(task_path(own, None, task).as_deref(), Some(task), "{own} {task}");
        }
    }

    #[test]
    fn a_path_elsewhere_or_in_disguise_is_not() {
        for task in [
            "",
            "jobs/a",
            "/",
            "/admin",
            "/jobsadmin",
            "/JOBS/a",
            "//jobs/a",
            "/jobs//a",
            "/jobs/../admin",
            "/jobs/./a",
            "/jobs/..",
            "/jobs/..;/admin",
            "/jobs/%2e%2E/admin",
            "/jobs/..%2Fadmin",
            "/jobs/%252e%252e/admin",
            "/jobs/..\\admin",
            "/jobs/..%5cadmin",
            "/jobs/a#b",
            "/jobs/a b",
            "/jobs/ä",
            "http://elsewhere/jobs",
        ] {
            assert_eq!(task_path("/jobs", None, task), None, "{task}");
        }
        assert_eq!(task_path("/jobs", None, &format!("/jobs/{}", "x".repeat(MAX_PATH))), None);
    }

    #[test]
    fn the_operators_query_replaces_the_tasks() {
        assert_eq!(task_path("/jobs", None, "/jobs/a?b=1").as_deref(), Some("/jobs/a?b=1"));
        for task in ["/jobs/a", "/jobs/a?key=2&b=1"] {
            assert_eq!(task_path("/jobs", Some("key=1"), task).as_deref(), Some("/jobs/a?key=1"));
        }
    }
}
