//! E-mail addresses, alone or inside a longer text.

use super::tables::{EMAIL_LOCAL_CLASS, MAX_EMAIL_DOMAIN, MAX_EMAIL_LOCAL, NO_PERSONS};

/// Returns true if a text contains an e-mail address: ASCII characters before an `@`, and a domain of at least two labels, the
/// last with at least two letters.
pub(super) fn has_email_address(text: &str) -> bool {
    let text = text.as_bytes();
    let ats = text.iter().enumerate().filter(|(_, byte)| **byte == b'@').map(|(at, _)| at);
    // The text between two of them is read at most twice, and never more than an address can have.
    ats.into_iter().any(|at| is_local(local(&text[..at])) && is_domain(domain(&text[at + 1..])))
}

fn local(before: &[u8]) -> &[u8] {
    let length = before.iter().rev().take(MAX_EMAIL_LOCAL).take_while(|&&byte| is_of_local(byte)).count();
    &before[before.len() - length..]
}

fn is_of_local(byte: u8) -> bool {
    // The class's other characters are single ones, and the last is the hyphen.
    byte.is_ascii_alphanumeric() || EMAIL_LOCAL_CLASS.as_bytes()["A-Za-z0-9".len()..].contains(&byte)
}

fn is_local(local: &[u8]) -> bool {
    let is_no_person = NO_PERSONS.iter().any(|name| name.as_bytes() == local);
    !is_no_person && local.iter().any(u8::is_ascii_alphanumeric)
}

fn domain(after: &[u8]) -> &[u8] {
    let is_of_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let length = after.iter().take(MAX_EMAIL_DOMAIN).take_while(|&&byte| is_of_domain(byte)).count();
    let domain = &after[..length];
    // A trailing period ends the sentence.
    domain.strip_suffix(b".").unwrap_or(domain)
}

fn is_domain(domain: &[u8]) -> bool {
    let mut labels = domain.rsplit(|&byte| byte == b'.');
    let is_top_level = |label: &[u8]| label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    let is_label = |label: &[u8]| !label.is_empty() && !label.starts_with(b"-") && !label.ends_with(b"-");
    labels.next().is_some_and(is_top_level) && labels.next().is_some_and(is_label) && labels.all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_by_their_form() {
        let table = [
            ("ada@example.com", true),
            ("Ada <ada.lovelace+x@mail.example.co.uk>", true),
            ("write to ada@example.com.", true),
            ("mailto:ada@example.com?subject=x", true),
            ("a@b @ ada@example.com", true),
            ("o'neil@example.org", true),
            ("ada@localhost", false),
            ("@example.com", false),
            ("ada@", false),
            ("@", false),
            ("lodash@4.17.21", false),
            ("@scope/package@1.2.3", false),
            ("user@10.0.0.1", false),
            ("ada@.com", false),
            ("ada@example..com", false),
            ("ada@-example.com", false),
            ("git@github.com:org/repository.git", false),
            ("image@sha256:abc", false),
            ("5 @ 3.50 each", false),
            ("_@example.com", false),
            ("ada@example.c", false),
        ];
        for (text, expected) in table {
            assert_eq!(has_email_address(text), expected, "{text}");
        }
    }
}
