//! The tables of the guards as constants of a client file: the same tables that the Rust producer uses.

use serde_json::{Value, json};

use super::literal::Dialect;
use crate::guards::{Action, FindingKind, Guards, tables};

/// The end of the guards' texts, which names a setting of the producer.
const SETTING: &str = "set guard_allow to \"{allow}\"";

/// A constant of a client file.
pub(super) struct Constant {
    /// The name in upper case, with underscores.
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// Returns the constants. `allowing` is the text that explains how a program allows a field, with `{allow}` as the placeholder.
pub(super) fn constants(allowing: &str) -> Vec<Constant> {
    let all = [
        (
            "TOKENS",
            tables::TOKENS.iter().map(|token| json!([token.what, token.prefix, pattern(token)])).collect(),
        ),
        (
            "PEM",
            json!(format!(
                "{}([{}]{{0,{}}})(?={})",
                tables::PEM_BEGIN,
                tables::PEM_LABEL_CLASS,
                tables::MAX_PEM_LABEL,
                tables::PEM_END
            )),
        ),
        ("PRIVATE_KEY_ENDINGS", json!(tables::PRIVATE_KEY_ENDINGS)),
        (
            "URL_AUTHORITY",
            json!(format!(
                "://(?=([^{}]{{0,{}}}))",
                in_class(tables::URL_AUTHORITY_ENDINGS),
                tables::MAX_URL_AUTHORITY
            )),
        ),
        ("PLACEHOLDER_BEGINNINGS", json!(tables::PLACEHOLDER_BEGINNINGS)),
        (
            "AWS_SECRET_KEY",
            json!(format!("[{}]{{{}}}", tables::Alphabet::Base64.class(), tables::AWS_SECRET_KEY_LENGTH)),
        ),
        ("AWS_SECRET_KEY_NAMES", json!(tables::AWS_SECRET_KEY_NAMES)),
        ("SECRET_NAMES", json!(tables::SECRET_NAMES)),
        ("SECRET_NAME_ENDINGS", json!(tables::SECRET_NAME_ENDINGS)),
        ("REFERENCE_BEGINNINGS", json!(tables::REFERENCE_BEGINNINGS)),
        ("JWT_RUN", json!(format!("[.{}]+", tables::Alphabet::Base64Url.class()))),
        ("JWT_BEGINNING", json!(tables::JWT_BEGINNING)),
        ("MAX_JWT_HEADER", json!(tables::MAX_JWT_HEADER)),
        (
            "CARD_ISSUERS",
            tables::CARD_ISSUERS
                .iter()
                .map(|issuer| json!([issuer.from, issuer.to, issuer.lengths]))
                .collect(),
        ),
        ("CARD_GROUPS", json!(tables::CARD_GROUPS)),
        ("CARD_DIGITS", json!([tables::CARD_DIGITS.0, tables::CARD_DIGITS.1])),
        ("NO_CARD_NAME_ENDINGS", json!(tables::NO_CARD_NAME_ENDINGS)),
        ("EMAIL_LOCAL", json!(format!("[{}]{{0,{}}}", tables::EMAIL_LOCAL_CLASS, tables::MAX_EMAIL_LOCAL))),
        (
            "EMAIL_DOMAIN",
            json!(format!("[{}]{{0,{}}}", tables::EMAIL_DOMAIN_CLASS, tables::MAX_EMAIL_DOMAIN)),
        ),
        ("MAX_EMAIL_LOCAL", json!(tables::MAX_EMAIL_LOCAL)),
        ("NO_PERSONS", json!(tables::NO_PERSONS)),
        ("MAX_NAME_BYTES", json!(tables::MAX_NAME_BYTES)),
        ("MAX_TEXT_BYTES", json!(tables::MAX_TEXT_BYTES)),
        ("MAX_FINDINGS_PER_KIND", json!(tables::MAX_FINDINGS_PER_KIND)),
        ("DENIED", denied(&Guards::default())),
        ("DENIED_IF_STRICT", denied(&Guards::deny())),
        ("TEXTS", texts(allowing)),
    ];
    all.into_iter().map(|(name, value)| Constant { name, value }).collect()
}

/// Returns a token as a regular expression for all languages.
fn pattern(token: &tables::Token) -> String {
    let class = token.alphabet.class();
    let least = token.length;
    let end = if token.exact { format!("(?![{class}])") } else { String::new() };
    format!("{}[{class}]{{{least}}}{end}", escaped(token.prefix))
}

/// Escapes a literal text for a regular expression.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| (r".+*?()|[]{}^$\".contains(c)).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// Escapes characters for a character class.
fn in_class(characters: &str) -> String {
    characters.chars().flat_map(|c| (r"[]\^-".contains(c)).then_some('\\').into_iter().chain([c])).collect()
}

fn denied(guards: &Guards) -> Value {
    let is_denied = |kind: &FindingKind| guards.action(*kind) == Action::Deny;
    FindingKind::ALL.into_iter().filter(is_denied).map(FindingKind::name).collect()
}

fn texts(allowing: &str) -> Value {
    let text =
        |kind: FindingKind| (kind.name().to_owned(), Value::from(kind.template().replace(SETTING, allowing)));
    Value::Object(FindingKind::ALL.into_iter().map(text).collect())
}

/// Returns the lines of constants. `statement` formats one from its name and its value.
pub(super) fn lines(allowing: &str, dialect: &Dialect, statement: fn(&str, &str) -> String) -> String {
    let line = |constant: Constant| statement(constant.name, &dialect.write(&constant.value, 0));
    format!("\n{}\n", constants(allowing).into_iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_names_how_to_allow_the_field() {
        for kind in FindingKind::ALL {
            assert!(kind.template().contains(SETTING), "{kind}: {}", kind.template());
        }
        let all = constants("pass Guards(\"{allow}\")");
        let texts =
            all.iter().find(|constant| constant.name == "TEXTS").map(|constant| constant.value.to_string());
        assert!(texts.is_some_and(|texts| texts.contains("pass Guards") && !texts.contains("guard_allow")));
    }

    #[test]
    fn patterns_stand_for_themselves() {
        assert_eq!(escaped("a.b+c"), r"a\.b\+c");
        assert_eq!(in_class(r"a\]^-."), r"a\\\]\^\-.");
    }
}
