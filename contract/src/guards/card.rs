//! Payment card numbers, alone or inside a longer text.

use super::tables::{CARD_DIGITS, CARD_GROUPS, CARD_ISSUERS, CardIssuer, NO_CARD_NAME_ENDINGS};

/// The largest number of groups of digits in a card number.
const MOST_GROUPS: usize = 5;

/// A group of digits in a text.
#[derive(Debug, Clone, Copy)]
struct Group {
    from: usize,
    to: usize,
}

/// Returns true if a field with this normalised name may contain a card number.
pub(super) fn may_have_card(normalized_name: &str) -> bool {
    !NO_CARD_NAME_ENDINGS.iter().any(|ending| normalized_name.ends_with(ending))
}

/// Returns true if a text contains a card number: digits without separators, or [groups](CARD_GROUPS) separated by one space or
/// one hyphen, with an issuer's [first digits](CARD_ISSUERS) and a correct check digit. Digits that are adjacent to a letter, a
/// digit, an underscore or a hyphen do not count, so that parts of ids and decimal fractions are not card numbers.
pub(super) fn has_card_number(text: &str) -> bool {
    let text = text.as_bytes();
    if text.iter().filter(|byte| byte.is_ascii_digit()).count() < CARD_DIGITS.0 {
        return false;
    }
    let mut groups: Vec<Group> = Vec::with_capacity(MOST_GROUPS);
    let mut at = 0;
    while let Some(from) = text[at..].iter().position(u8::is_ascii_digit).map(|skipped| at + skipped) {
        let length = text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let group = Group { from, to: from + length };
        if groups.last().is_some_and(|last| !is_joined(text, *last, group)) {
            groups.clear();
        }
        if groups.len() == MOST_GROUPS {
            groups.remove(0);
        }
        groups.push(group);
        if ends_a_card(text, &groups) {
            return true;
        }
        at = group.to;
    }
    false
}

/// Returns true if there is only one separator between the groups.
fn is_joined(text: &[u8], last: Group, next: Group) -> bool {
    next.from == last.to + 1 && matches!(text[last.to], b' ' | b'-')
}

fn ends_a_card(text: &[u8], groups: &[Group]) -> bool {
    let wholes = [1].into_iter().chain(CARD_GROUPS.iter().map(|lengths| lengths.len()));
    wholes.into_iter().filter(|&count| count <= groups.len()).any(|count| {
        let groups = &groups[groups.len() - count..];
        is_grouped(text, groups) && stands_alone(text, groups) && is_card(&digits(text, groups))
    })
}

fn is_grouped(text: &[u8], groups: &[Group]) -> bool {
    let lengths = || groups.iter().map(|group| group.to - group.from);
    let separators = || groups.windows(2).map(|pair| text[pair[0].to]);
    let is_one =
        groups.len() == 1 && lengths().all(|length| (CARD_DIGITS.0..=CARD_DIGITS.1).contains(&length));
    let is_known = || CARD_GROUPS.iter().any(|known| lengths().eq(known.iter().copied()));
    is_one || (is_known() && separators().all(|separator| Some(separator) == separators().next()))
}

fn stands_alone(text: &[u8], groups: &[Group]) -> bool {
    let (from, to) = (groups[0].from, groups[groups.len() - 1].to);
    let at = |index: Option<usize>| index.and_then(|index| text.get(index)).copied();
    let is_digit = |index: Option<usize>| at(index).is_some_and(|byte| byte.is_ascii_digit());
    let adjoins = |next: Option<usize>, beyond: Option<usize>| match at(next) {
        None => false,
        Some(b'.' | b',') => is_digit(beyond),
        Some(byte) => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
    };
    !adjoins(from.checked_sub(1), from.checked_sub(2)) && !adjoins(Some(to), Some(to + 1))
}

fn digits(text: &[u8], groups: &[Group]) -> Vec<u8> {
    groups.iter().flat_map(|group| text[group.from..group.to].iter().copied()).collect()
}

fn is_card(digits: &[u8]) -> bool {
    CARD_ISSUERS.iter().any(|issuer| issuer.issues(digits)) && has_check_digit(digits)
}

impl CardIssuer {
    fn issues(&self, digits: &[u8]) -> bool {
        let first = digits.get(..self.from.len());
        let is_in_range = |first: &[u8]| (self.from.as_bytes()..=self.to.as_bytes()).contains(&first);
        self.lengths.contains(&digits.len()) && first.is_some_and(is_in_range)
    }
}

/// Checks the digit of [ISO/IEC 7812](https://en.wikipedia.org/wiki/Luhn_algorithm): every second digit from the right counts
/// twice.
fn has_check_digit(digits: &[u8]) -> bool {
    let values = digits.iter().rev().map(|digit| u32::from(digit - b'0')).enumerate();
    let sum: u32 = values
        .map(|(place, value)| match value * 2 {
            double if place % 2 == 1 => double / 10 + double % 10,
            _ => value,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guards::names::normalized;

    #[test]
    fn card_numbers_are_found_with_and_without_separators() {
        let table = [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "3056 930902 5904",
            "6011111111111117",
            "3530111333300000",
            "6205500000000000004",
            "paid with 4111 1111 1111 1111.",
            "order 12 4111 1111 1111 1111 of 2024",
            "card:4111111111111111;",
            "\u{fc}4111111111111111\u{fc}",
        ];
        for text in table {
            assert!(has_card_number(text), "{text}");
        }
    }

    #[test]
    fn ids_and_other_numbers_are_no_card_numbers() {
        let table = [
            "",
            "4111111111111112",
            "1111111111111117",
            "411111111111111",
            "41111111111111111",
            "4222222222222",
            "4111 1111-1111 1111",
            "4111  1111 1111 1111",
            "41 11 11 11 11 11 11 11",
            "4111.1111.1111.1111",
            "order_4111111111111111",
            "4111111111111111-1",
            "a4111111111111111",
            "0.4111111111111111",
            "4111111111111111.5",
            "550e8400-e29b-41d4-a716-446655440000",
            "01J9Z3NDEKTSV4RRFFQ69G5FAV",
            "1732900000000",
            "1732900000000000000",
            "2024-11-29 18:17:13",
            "+49 170 1234567",
            "DE89 3704 0044 0532 0130 00",
        ];
        for text in table {
            assert!(!has_card_number(text), "{text}");
        }
        for name in ["id", "orderId", "user_ids", "IMEI", "ean"] {
            assert!(!may_have_card(&normalized(name)), "{name}");
        }
        assert!(may_have_card(&normalized("number")) && may_have_card(""));
    }

    /// At one in a thousand, a warning about an id appears about once per type; more would be noise.
    #[test]
    fn random_ids_seldom_look_like_cards() {
        // An xorshift generator: it generates the same ids in each run.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut share = |make: &dyn Fn(u64, u64) -> String| {
            let found = (0..50_000).filter(|_| has_card_number(&make(next(), next()))).count();
            u32::try_from(found).map(f64::from).expect("is small") / 50_000.0
        };
        let uuid = |a: u64, b: u64| {
            format!(
                "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                a >> 32,
                a & 0xffff,
                a >> 20 & 0xfff,
                b >> 48,
                b & 0xffff_ffff_ffff
            )
        };
        let shares = [
            ("UUIDs", share(&uuid), 0.0),
            ("hexadecimal digests", share(&|a, b| format!("{a:016x}{b:016x}")), 0.0),
            ("64-bit integers", share(&|a, _| (a >> 1).to_string()), 0.002),
            (
                "times in milliseconds",
                share(&|a, _| (1_600_000_000_000 + a % 300_000_000_000).to_string()),
                0.0,
            ),
            (
                "times in microseconds",
                share(&|a, _| (1_600_000_000_000_000 + a % 300_000_000_000_000).to_string()),
                0.0,
            ),
            (
                "snowflakes",
                share(&|a, _| (1_000_000_000_000_000_000 + a % 400_000_000_000_000_000).to_string()),
                0.0,
            ),
            ("13 digits", share(&|a, _| format!("{:013}", a % 10_000_000_000_000)), 0.0),
            // A tenth of the numbers with an issuer's first digits has a correct check digit.
            ("16 digits", share(&|a, _| format!("{:016}", a % 10_000_000_000_000_000)), 0.03),
        ];
        for (ids, share, most) in shares {
            assert!(share <= most, "{share} of {ids}");
        }
    }
}
