//! Names of fields that contain secrets.

use std::borrow::Cow;

use super::tables::{MAX_NAME_BYTES, REFERENCE_BEGINNINGS, SECRET_NAME_ENDINGS, SECRET_NAMES};

/// Returns the name's ASCII letters and digits in lower case, so that `apiKey`, `API_KEY` and `x-api-key` have the same ending.
/// A name longer than [`MAX_NAME_BYTES`] is not a field name and becomes empty.
pub fn normalized(name: &str) -> Cow<'_, str> {
    if name.len() > MAX_NAME_BYTES {
        return Cow::Borrowed("");
    }
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    Cow::Owned(kept.map(|c| c.to_ascii_lowercase()).collect())
}

/// Returns true if a field with this [`normalized`] name and this text contains a secret. It does not if the text is empty,
/// refers to a secret, or is masked.
pub(super) fn is_secret_by_name(normalized_name: &str, text: &str) -> bool {
    let is_named = SECRET_NAMES.contains(&normalized_name)
        || SECRET_NAME_ENDINGS.iter().any(|ending| normalized_name.ends_with(ending));
    let is_reference = || REFERENCE_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
    let is_blotted = || text.bytes().all(|byte| byte == b'*');
    is_named && !is_reference() && !is_blotted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_in_any_spelling() {
        let named = [
            "password",
            "Password",
            "user_password",
            "NEW-PASSWORD",
            "passwd",
            "pwd",
            "api_key",
            "apiKey",
            "APIKEY",
            "x-api-key",
            "stripe.api.key",
            "accessToken",
            "refresh_token",
            "authorization",
            "Proxy-Authorization",
            "Set-Cookie",
            "clientSecret",
            "private key",
            "aws_secret_access_key",
        ];
        let others = [
            "",
            "passwordResetUrl",
            "password_hash_algorithm",
            "secretArn",
            "apiKeyId",
            "token",
            "pageToken",
            "deviceToken",
            "paymentAuthorization",
            "key",
            "keys",
            "tokens",
            "cookies",
            "топsecret1",
        ];
        for name in named {
            assert!(is_secret_by_name(&normalized(name), "hunter2"), "{name}");
        }
        for name in others {
            assert!(!is_secret_by_name(&normalized(name), "hunter2"), "{name}");
        }
    }

    #[test]
    fn references_and_nothing_are_no_secrets() {
        for text in
            ["", "***", "arn:aws:secretsmanager:x", "ssm:/app/password", "${PASSWORD}", "{{ password }}"]
        {
            assert!(!is_secret_by_name("password", text), "{text}");
        }
        assert_eq!(normalized(&"password".repeat(20)), "");
    }
}
