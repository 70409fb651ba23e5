//! Names that are values themselves, and are hidden.

use super::card::has_card_number;
use super::email::has_email_address;
use super::jwt::has_jwt;
use super::kind::FindingKind;
use super::pointer::{self, ANY};
use super::secret::secret;

pub(super) const JWT: &str = "a JSON Web Token";
pub(super) const CARD_NUMBER: &str = "a card number";
pub(super) const EMAIL_ADDRESS: &str = "an e-mail address";

/// Returns the kind of value that a name contains, if it is one: field names are shown, but values never.
pub(super) fn value_in(name: &str) -> Option<(FindingKind, &'static str)> {
    secret(name)
        .map(|what| (FindingKind::Secret, what))
        .or_else(|| has_jwt(name).then_some((FindingKind::Jwt, JWT)))
        .or_else(|| has_card_number(name).then_some((FindingKind::CardNumber, CARD_NUMBER)))
        .or_else(|| has_email_address(name).then_some((FindingKind::PersonalData, EMAIL_ADDRESS)))
}

/// Appends a name to a JSON pointer for display. A name that is itself a secret, a token, a card number or an address becomes
/// `*`, and so does a name that is too long for a field name.
///
/// ```
/// let mut pointer = "/readers".to_owned();
/// drumline_contract::guards::push_name(&mut pointer, "ada@example.com");
/// drumline_contract::guards::push_name(&mut pointer, "a/b");
/// assert_eq!(pointer, "/readers/*/a~1b");
/// ```
pub fn push_name(pointer: &mut String, name: &str) {
    pointer::push_name(pointer, if value_in(name).is_some() { ANY } else { name });
}
