//! The check of log filters.
//!
//! `EnvFilter` reads any word as the name of a module, so that `inof` would disable the log. Here a bare word must be a level,
//! or a module with a name that is no misspelt level.

use tracing_subscriber::EnvFilter;

/// The levels, from none to all.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a filter: levels, `module=level`, and the other forms of `EnvFilter`.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    for directive in directives(text) {
        check(directive)?;
    }
    // `EnvFilter` allows no spaces around a comma.
    let text = directives(text).collect::<Vec<_>>().join(",");
    text.parse::<EnvFilter>().map_err(|error| format!("is not a log filter: {error}"))?;
    Ok(text)
}

fn check(directive: &str) -> Result<(), String> {
    // `EnvFilter` itself checks the parts about spans and fields.
    if directive.contains(['[', ']', '{', '}']) {
        return Ok(());
    }
    match directive.split_once('=') {
        Some((target, _)) if target.trim().is_empty() => {
            Err(format!("{directive:?} names no module; write module=level"))
        }
        Some((target, level)) => is_level(level).then_some(()).ok_or_else(|| no_level(target, level)),
        None if is_level(directive) || is_module(directive) => Ok(()),
        None => Err(match nearest(directive) {
            Some(level) => format!("{directive:?} is no level; did you mean {level}?"),
            None => format!(
                "{directive:?} is no level; the levels are {}. To log a module of this name write {directive}=debug",
                LEVELS.join(", ")
            ),
        }),
    }
}

fn no_level(target: &str, level: &str) -> String {
    match nearest(level) {
        Some(nearest) => format!("{level:?} is no level; did you mean {target}={nearest}?"),
        None => format!("{level:?} is no level; the levels are {}", LEVELS.join(", ")),
    }
}

/// Checks a bare name, which stands for all lines of that module. Only names that are no misspelt levels may be used alone.
fn is_module(word: &str) -> bool {
    word.contains("::") || word.starts_with("drumline")
}

fn is_level(text: &str) -> bool {
    let text = text.trim();
    // `tracing` also numbers them from 0 to 5.
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text)) || matches!(text.as_bytes(), [b'0'..=b'5'])
}

fn nearest(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let synonym = match text.as_str() {
        "warning" => Some("warn"),
        "err" | "fatal" | "critical" => Some("error"),
        "none" | "false" => Some("off"),
        "verbose" | "all" => Some("trace"),
        _ => None,
    };
    let distance = |level: &str| strsim::damerau_levenshtein(level, &text);
    synonym.or_else(|| {
        LEVELS.into_iter().filter(|level| distance(level) <= 2).min_by_key(|level| distance(level))
    })
}

/// Returns the parts between the commas.
pub(crate) fn directives(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|directive| !directive.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_made_of_levels_and_modules() {
        for text in [
            "info",
            "INFO",
            "off",
            "3",
            "info,drumline=debug",
            "warn,foo=debug",
            "drumline",
            "drumline_runtime",
            "a::b",
            "[attempt]=debug",
            "info,drumline[{type=a}]=trace",
        ] {
            assert_eq!(log_filter(text).as_deref(), Ok(text));
        }
        assert_eq!(log_filter(" warn , foo=debug,").as_deref(), Ok("warn,foo=debug"));
    }

    #[test]
    fn a_word_that_is_no_level_is_an_error_with_the_nearest_one() {
        let table = [
            ("inof", "did you mean info?"),
            ("debg", "did you mean debug?"),
            ("warning", "did you mean warn?"),
            ("info,drumline=debgu", "did you mean drumline=debug?"),
            ("verbose", "did you mean trace?"),
            ("hyper", "write hyper=debug"),
            ("foo=loud", "the levels are off, error"),
            ("foo=", "the levels are"),
            ("=info", "names no module"),
            ("[", "is not a log filter"),
        ];
        for (text, says) in table {
            let error = log_filter(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
