//! Replaces probable secrets in a text that is kept and shown.

use std::borrow::Cow;
use std::sync::LazyLock;

use drumline::core::Ending;
use regex_lite::Regex;

/// The replacement of a secret.
const BLOT: &str = "***";

/// Patterns of secrets, with their replacements.
static SECRETS: LazyLock<Vec<(Regex, String)>> = LazyLock::new(|| {
    let patterns = [
        // A whole key, which contains spaces and line breaks.
        (r"-----BEGIN [A-Z ]+-----[^-]*(-----END [A-Z ]+-----)?", BLOT.to_owned()),
        // `https://user:password@host`
        (r"://[^\s/@:]*:[^\s/@]+@", format!("://{BLOT}@")),
        // `Authorization: Bearer …`, and the scheme alone.
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", format!("$1 {BLOT}")),
        // `password=…`, `"api_key": "…"`
        (
            r#"(?i)\b([a-z0-9_-]*(?:passwd|password|secret|api[_-]?key|token|private[_-]?key|credential))(["']?\s*[:=]\s*["']?)[^\s"',;&]+"#,
            format!("$1$2{BLOT}"),
        ),
        // Tokens that are recognised by their beginning.
        (r"\b(AKIA|ASIA|ghp_|github_pat_|xox[bp]-|sk_live_|eyJ)[A-Za-z0-9_.-]{12,}", format!("$1{BLOT}")),
    ];
    let compiled = patterns.map(|(pattern, left)| (Regex::new(pattern).expect("the pattern is sound"), left));
    compiled.into()
});

/// Removes probable secrets from a run's reason, before it is logged, kept, or sent along with a dead letter.
pub(crate) fn redact(ending: &mut Ending) {
    if let Some(reason) = ending.reason_mut()
        && let Cow::Owned(clean) = redacted(reason)
    {
        *reason = clean;
    }
}

/// Returns `text` without probable secrets. This is no guarantee: handlers should not put secrets into their reasons.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for (secret, left) in SECRETS.iter() {
        if secret.is_match(&clean) {
            clean = Cow::Owned(secret.replace_all(&clean, left.as_str()).into_owned());
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_and_the_rest_is_left() {
        let table = [
            ("connection refused (os error 111)", None),
            ("no user 42: the token ring is down", None),
            ("GET https://ann:hunter2@example.com/x failed", Some("GET https://***@example.com/x failed")),
            ("postgres://app:p%40ss@db/prod: no route", Some("postgres://***@db/prod: no route")),
            ("401 for Authorization: Bearer abcdef0123456789", Some("401 for Authorization: Bearer ***")),
            ("password=hunter2, user=ann", Some("password=***, user=ann")),
            (r#"{"api_key": "abc", "id": 1}"#, Some(r#"{"api_key": "***", "id": 1}"#)),
            ("?access_token=abc&x=1", Some("?access_token=***&x=1")),
            ("key AKIAIOSFODNN7EXAMPLE is gone", Some("key AKIA*** is gone")),
            ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- read", Some("*** read")),
        ];
        for (text, clean) in table {
            assert_eq!(redacted(text), clean.unwrap_or(text));
        }
    }
}
