//! Reads the process's environment.

/// Returns the value of an environment variable without surrounding whitespace. A variable that is empty, blank or not Unicode
/// counts as unset.
///
/// All code that reads variables uses this function, so that "set" has one meaning.
#[allow(clippy::disallowed_methods, reason = "the one place that asks the process's environment")]
pub fn variable(name: &str) -> Option<String> {
    set_value(&std::env::var(name).ok()?)
}

/// Returns a variable's text without surrounding whitespace, or `None` if nothing is left of it.
pub fn set_value(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_means_has_a_value() {
        let table = [("", None), (" \t\n", None), ("a", Some("a")), (" a b\r\n", Some("a b"))];
        for (text, value) in table {
            assert_eq!(set_value(text).as_deref(), value, "{text:?}");
        }
        assert_eq!(variable("DRUMLINE_TEST_NEVER_SET"), None);
    }
}
