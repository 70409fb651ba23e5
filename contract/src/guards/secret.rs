//! Values that identify themselves as secrets, alone or inside a longer text.

use std::sync::LazyLock;

use super::tables::{
    AWS_SECRET_KEY_LENGTH, AWS_SECRET_KEY_NAMES, Alphabet, MAX_PEM_LABEL, MAX_URL_AUTHORITY, PEM_BEGIN,
    PEM_END, PLACEHOLDER_BEGINNINGS, PRIVATE_KEY_ENDINGS, TOKENS, Token, URL_AUTHORITY_ENDINGS,
};

/// The tokens by the first byte of their prefixes.
static BY_FIRST_BYTE: LazyLock<[Vec<&'static Token>; 128]> = LazyLock::new(|| {
    let of =
        |first: usize| TOKENS.iter().filter(move |token| usize::from(token.prefix.as_bytes()[0]) == first);
    std::array::from_fn(|first| of(first).collect())
});

/// Returns the kind of secret in a text: the first token in it, otherwise a private key, otherwise a URL's password.
pub(super) fn secret(text: &str) -> Option<&'static str> {
    let token = token(text.as_bytes());
    token.or_else(|| private_key(text)).or_else(|| url_password(text))
}

/// Returns the kind of secret that a value is according to its name: AWS secret access keys look like any other base64 text.
pub(super) fn named_secret(normalized_name: &str, text: &str) -> Option<&'static str> {
    let is_key = text.len() == AWS_SECRET_KEY_LENGTH
        && AWS_SECRET_KEY_NAMES.iter().any(|name| normalized_name.ends_with(name))
        && text.bytes().all(|byte| Alphabet::Base64.contains(byte));
    is_key.then_some("an AWS secret access key")
}

fn token(text: &[u8]) -> Option<&'static str> {
    let mut is_inside_word = false;
    for (at, &byte) in text.iter().enumerate() {
        if !is_inside_word && byte.is_ascii() {
            let candidates = &BY_FIRST_BYTE[usize::from(byte)];
            if let Some(token) = candidates.iter().find(|token| token.begins(&text[at..])) {
                return Some(token.what);
            }
        }
        is_inside_word = byte.is_ascii_alphanumeric();
    }
    None
}

impl Token {
    /// Reads at most the prefix and one character more than the length, so that a text is searched in linear time.
    fn begins(&self, text: &[u8]) -> bool {
        let Some(rest) = text.strip_prefix(self.prefix.as_bytes()) else { return false };
        let Some((value, after)) = rest.split_at_checked(self.length) else { return false };
        let goes_on = self.exact && after.first().is_some_and(|&byte| self.alphabet.contains(byte));
        !goes_on && value.iter().all(|&byte| self.alphabet.contains(byte))
    }
}

fn private_key(text: &str) -> Option<&'static str> {
    // Hardly any text contains one, and starting the search for all of them is expensive.
    if !text.contains(PEM_BEGIN) {
        return None;
    }
    let is_private = |(at, _)| {
        let rest = &text.as_bytes()[at + PEM_BEGIN.len()..];
        let is_of_label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
        let length = rest.iter().take(MAX_PEM_LABEL).take_while(|&&byte| is_of_label(byte)).count();
        let (label, after) = rest.split_at(length);
        let is_key = PRIVATE_KEY_ENDINGS.iter().any(|ending| label.ends_with(ending.as_bytes()));
        is_key && after.starts_with(PEM_END.as_bytes())
    };
    text.match_indices(PEM_BEGIN).any(is_private).then_some("a private key")
}

/// Finds `://user:password@host`. A placeholder or a masked password does not count.
fn url_password(text: &str) -> Option<&'static str> {
    if !text.contains("://") {
        return None;
    }
    let has_password = |(at, found): (usize, &str)| {
        let rest = &text.as_bytes()[at + found.len()..];
        let ends = |byte: &u8| URL_AUTHORITY_ENDINGS.as_bytes().contains(byte);
        let length = rest.iter().take(MAX_URL_AUTHORITY).take_while(|byte| !ends(byte)).count();
        let authority = &rest[..length];
        let Some(host) = authority.iter().rposition(|&byte| byte == b'@') else { return false };
        let user = &authority[..host];
        let Some(colon) = user.iter().position(|&byte| byte == b':') else { return false };
        let password = &user[colon + 1..];
        password.first().is_some_and(|first| !PLACEHOLDER_BEGINNINGS.as_bytes().contains(first))
    };
    text.match_indices("://").any(has_password).then_some("a URL with a password")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generates a token that fits the rule, so that the source contains no whole token.
    fn made(token: &Token) -> String {
        let sample = match token.alphabet {
            Alphabet::UpperAlphanumeric => "7AQ2",
            Alphabet::LowerHex | Alphabet::Hex => "1fa0",
            Alphabet::Hyphenated => "12-a",
            Alphabet::Dotted => "a.B_",
            Alphabet::Alphanumeric | Alphabet::Base64Url | Alphabet::Base64 => "a1B2",
        };
        let value: String = sample.chars().cycle().take(token.length).collect();
        format!("{}{value}", token.prefix)
    }

    #[test]
    fn each_token_is_found_alone_and_in_a_text_if_long_enough() {
        for token in TOKENS {
            let value = made(token);
            let short = &value[..value.len() - 1];
            assert!(secret(&value).is_some(), "{value}");
            for around in ["see {} now", "https://x.test/?t={}", "ü{}ü", "key={}\n", "{},"] {
                assert!(secret(&around.replace("{}", &value)).is_some(), "{around} {value}");
            }
            assert_eq!(secret(short), None, "{short}");
            assert_eq!(secret(&format!("x{value}")), None, "inside a word: {value}");
            if token.exact {
                assert_eq!(secret(&format!("{value}1")), None, "too long for {}: {value}", token.what);
            } else {
                assert!(secret(&format!("{value}1")).is_some(), "{value}");
            }
        }
    }

    #[test]
    fn alphabets_are_their_classes() {
        let in_class = |class: &str, c: u8| {
            let class = class.as_bytes();
            let mut at = 0;
            while at < class.len() {
                if class.get(at + 1) == Some(&b'-') && at + 2 < class.len() {
                    if (class[at]..=class[at + 2]).contains(&c) {
                        return true;
                    }
                    at += 3;
                } else {
                    if class[at] == c {
                        return true;
                    }
                    at += 1;
                }
            }
            false
        };
        let mut alphabets: Vec<Alphabet> = TOKENS.iter().map(|token| token.alphabet).collect();
        alphabets.push(Alphabet::Base64);
        for alphabet in alphabets {
            for c in 0..=255_u8 {
                assert_eq!(alphabet.contains(c), in_class(alphabet.class(), c), "{alphabet:?} {}", c as char);
            }
        }
    }

    #[test]
    fn private_keys_are_secrets_and_certificates_are_none() {
        let table = [
            ("-----BEGIN PRIVATE KEY-----\nMIIE", true),
            ("-----BEGIN RSA PRIVATE KEY-----", true),
            ("-----BEGIN EC PRIVATE KEY-----", true),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", true),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----", true),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", true),
            (
                "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----",
                true,
            ),
            ("-----BEGIN CERTIFICATE-----", false),
            ("-----BEGIN PUBLIC KEY-----", false),
            ("-----BEGIN RSA PUBLIC KEY-----", false),
            ("-----BEGIN PGP MESSAGE-----", false),
            ("-----BEGIN CERTIFICATE REQUEST-----", false),
            ("-----BEGIN PRIVATE KEY", false),
            ("-----BEGIN the PRIVATE KEY-----", false),
            ("a PRIVATE KEY", false),
        ];
        for (text, expected) in table {
            assert_eq!(secret(text).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_a_secret() {
        let table = [
            ("postgres://app:hunter2@db.internal:5432/main", true),
            ("redis://:hunter2@cache", true),
            ("see https://ann:p@ss@example.test/x for it", true),
            ("https://example.test https://ann:pw@example.test", true),
            ("postgres://app@db/main", false),
            ("https://example.test:8080/@ann", false),
            ("https://example.test:8080/a?to=b@c", false),
            ("https://example.test:8080, or mail ann@example.test", false),
            ("redis://:@cache", false),
            ("postgres://app:***@db", false),
            ("postgres://app:${PASSWORD}@db", false),
            ("postgres://app:<password>@db", false),
            ("://", false),
        ];
        for (text, expected) in table {
            assert_eq!(secret(text), expected.then_some("a URL with a password"), "{text}");
        }
    }

    #[test]
    fn words_ids_and_public_values_are_no_secrets() {
        let table = [
            "AKIA",
            "ASIAPACIFIC",
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLES",
            "AKIAiosfodnn7example",
            "BAKIAIOSFODNN7EXAMPLE",
            "pk_live_51H8xYzAbCdEfGhIjKl",
            "sk_live_",
            "ghp_short",
            "npm_config_registry",
            "sk-learn is a library, and sk-ant- is a prefix",
            "01J9Z3NDEKTSV4RRFFQ69G5FAV",
            "550e8400-e29b-41d4-a716-446655440000",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "",
        ];
        for text in table {
            assert_eq!(secret(text), None, "{text}");
        }
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(named_secret("awssecretaccesskey", key), Some("an AWS secret access key"));
        assert_eq!(named_secret("digest", key), None);
        assert_eq!(named_secret("secretaccesskey", &key[1..]), None);
    }
}
