//! JSON Web Tokens ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)), alone or inside a longer text.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use serde_json::Value;

use super::tables::{Alphabet, JWT_BEGINNING, MAX_JWT_HEADER};

/// Issuers of tokens use different values for the unused bits of the last character.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Returns true if a text contains three base64url parts separated by periods, the first of which is a JSON object with `alg`.
pub(super) fn has_jwt(text: &str) -> bool {
    if !text.contains(JWT_BEGINNING) {
        return false;
    }
    let is_part = |byte: u8| Alphabet::Base64Url.contains(byte) || byte == b'.';
    text.as_bytes().split(|&byte| !is_part(byte)).any(|run| {
        // Each part is decoded at most once, independent of its context.
        let parts = || run.split(|&byte| byte == b'.');
        let three = parts().zip(parts().skip(1)).zip(parts().skip(2));
        three.into_iter().any(|((header, claims), signature)| {
            !claims.is_empty() && !signature.is_empty() && is_header(header)
        })
    })
}

fn is_header(part: &[u8]) -> bool {
    if part.len() > MAX_JWT_HEADER || !part.starts_with(JWT_BEGINNING.as_bytes()) {
        return false;
    }
    let Ok(json) = LENIENT.decode(part) else { return false };
    let header = serde_json::from_slice::<Value>(&json);
    header.is_ok_and(|header| header.get("alg").is_some_and(Value::is_string))
}

/// A token for tests.
#[cfg(test)]
pub(super) fn sample() -> String {
    let part = |text: &str| LENIENT.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(r#"{"sub":"42"}"#), part("signature"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_header() {
        let jwt = sample();
        let part = |text: &str| LENIENT.encode(text);
        let table = [
            (jwt.clone(), true),
            (format!("Bearer {jwt}"), true),
            (format!("https://x.test/?token={jwt}&x=1"), true),
            (format!("x.y.{jwt}."), true),
            (format!("{jwt}.tag.more"), true),
            (format!("x{jwt}"), false),
            (format!("{}.a.b", part(r#"{"typ":"JWT"}"#)), false),
            (format!("{}.a.b", part(r#"{"alg":7}"#)), false),
            (format!("{}.a.b", part(r#"{"alg":"#)), false),
            (format!("{}..b", part(r#"{"alg":"HS256"}"#)), false),
            (format!("{}.a", part(r#"{"alg":"HS256"}"#)), false),
            ("eyJ.eyJ.eyJ".to_owned(), false),
            ("www.example.test".to_owned(), false),
            (format!("eyJ{}.a.b", "A".repeat(MAX_JWT_HEADER)), false),
        ];
        for (text, expected) in table {
            assert_eq!(has_jwt(&text), expected, "{text:.120}");
        }
    }
}
