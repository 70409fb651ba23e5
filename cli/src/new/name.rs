//! The name of a service, which is used for its crate, programs, queue and stacks.

use std::fmt;

/// The largest length that the templates accept for their parameter `ServiceName`.
const MAX_LENGTH: usize = 41;

/// Names that a crate or a program cannot have: Rust's keywords and own crates, folders of cargo, and dependencies of the
/// service.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "drumline",
    "drumline-cli",
    "drumline-lambda",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tokio",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// A name that is valid for crates, queues and stacks of the templates: a lower-case letter, then lower-case letters, digits
/// and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceName(String);

impl ServiceName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// Returns the reason why the name is not valid, and a similar valid name if there is one.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if is_well_formed(text) && !TAKEN.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = if is_well_formed(text) {
            "is a word of Rust or cargo, or a crate that the service uses".to_owned()
        } else {
            format!(
                "cannot name a crate and a queue: it has to be a lower-case letter, then lower-case letters, digits and hyphens, \
                 at most {MAX_LENGTH} characters"
            )
        };
        let fix = similar(text).map(|name| format!("; try {name}")).unwrap_or_default();
        Err(format!("{text:?} {problem}{fix}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as an identifier in Rust code.
    pub(super) fn in_code(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_well_formed(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Returns a valid name that resembles this text.
fn similar(text: &str) -> Option<String> {
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
    let words = last.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
    if TAKEN.contains(&&*name) {
        name.push_str("-service");
    }
    name.truncate(MAX_LENGTH);
    let name = name.trim_end_matches('-');
    is_well_formed(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_crates_queues_and_stacks() {
        let longest = "a".repeat(MAX_LENGTH);
        for name in ["orders", "order-mail", "a", "s3-events", "x2", &longest] {
            assert_eq!(ServiceName::parse(name).map(|name| name.0), Ok(name.to_owned()));
        }
        let name = ServiceName::parse("order-mail").map(|name| name.in_code());
        assert_eq!(name, Ok("order_mail".to_owned()));
    }

    #[test]
    fn a_name_that_will_not_do_is_refused_with_one_that_will() {
        let too_long = "a".repeat(MAX_LENGTH + 1);
        let table = [
            ("Orders", "lower-case", Some("orders")),
            ("order_mail", "hyphens", Some("order-mail")),
            ("my service", "hyphens", Some("my-service")),
            ("orders-", "hyphens", Some("orders")),
            ("2fast", "letter", Some("fast")),
            ("../elsewhere/orders/", "hyphens", Some("orders")),
            ("async", "word of Rust", Some("async-service")),
            ("tokio", "a crate that the service uses", Some("tokio-service")),
            ("drumline", "a crate that the service uses", Some("drumline-service")),
            ("", "letter", None),
            ("größe", "lower-case", Some("gr-e")),
            ("+++", "letter", None),
            (&too_long, "41 characters", Some(&too_long[..MAX_LENGTH])),
        ];
        for (name, words, fix) in table {
            let error = ServiceName::parse(name).expect_err(name);
            assert!(error.contains(words), "{words:?} in {error}");
            assert_eq!(error.split_once("; try ").map(|(_, fix)| fix), fix, "{error}");
        }
    }

    #[test]
    fn taken_names_are_sorted_and_would_do_otherwise() {
        assert!(TAKEN.is_sorted());
        assert!(TAKEN.iter().all(|name| is_well_formed(name)));
    }
}
