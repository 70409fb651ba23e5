//! Words and numbers in a reason.

use super::known;
use super::token::{Token, goes_on, is_blank};

/// Recognises a word, or a number with its unit, at the start of `rest`. `masked` is the text before it.
pub(super) fn word(rest: &str, before: Option<char>, masked: &str) -> Option<Token> {
    let run = word_len(rest);
    if run == 0 {
        return signed(rest, before);
    }
    let word = &rest[..run];
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    if !has_digit {
        return Some(Token::Kept(run));
    }
    let is_status = if word.bytes().all(|byte| byte.is_ascii_digit()) {
        known::announces_status(masked, run) || is_status_line(rest, before)
    } else {
        run == 5 && known::announces_sql_state(masked)
    };
    if is_status && !continues_number(&rest[run..]) {
        return Some(Token::Kept(run));
    }
    if is_uuid(word) {
        return Some(Token::Masked("<id>", run));
    }
    if let Some(len) = number_len(rest).filter(|len| *len >= run) {
        return Some(Token::Masked("<n>", len));
    }
    if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        // `17-18` are two numbers.
        return Some(Token::Masked("<n>", digits(word)));
    }
    Some(if known::is_name(word) {
        Token::Kept(run)
    } else if is_hex(word) {
        Token::Masked("<hex>", run)
    } else {
        Token::Masked("<id>", run)
    })
}

/// Recognises a number after its sign.
fn signed(rest: &str, before: Option<char>) -> Option<Token> {
    let is_sign_place = before.is_none_or(|c| is_blank(c) || "([{=:,".contains(c));
    let number = rest.strip_prefix(['-', '+']).filter(|_| is_sign_place)?;
    let len = number_len(number)?;
    Some(Token::Masked("<n>", 1 + len))
}

/// Returns the length of the letters, digits and underscores at the start, with the hyphens between them.
fn word_len(rest: &str) -> usize {
    let mut len = 0;
    for (at, c) in rest.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            len = at + c.len_utf8();
        } else if c != '-' || at == 0 {
            break;
        }
    }
    len
}

/// Returns true for `503 Service Unavailable`: a status is a number of three digits before a capitalised word.
fn is_status_line(rest: &str, before: Option<char>) -> bool {
    let bytes = rest.as_bytes();
    let is_start = before.is_none_or(|c| is_blank(c) || "([:".contains(c));
    let is_status = matches!(bytes, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ', ..]);
    let mut word = rest.get(4..).unwrap_or_default().chars();
    is_start
        && is_status
        && word.next().is_some_and(char::is_uppercase)
        && word.next().is_some_and(char::is_alphabetic)
}

/// Returns true if a number continues in `rest`: `.5`, `,000`.
fn continues_number(rest: &str) -> bool {
    matches!(rest.as_bytes(), [b'.' | b',', b'0'..=b'9', ..])
}

/// Returns the length of the number at the start with its unit, if a word ends there.
fn number_len(rest: &str) -> Option<usize> {
    let whole = Some(digits(rest)).filter(|digits| *digits > 0)?;
    let mut len = whole;
    // Groups of thousands, fractions in all languages, versions, and lists without spaces.
    while let Some(more) = rest[len..].strip_prefix(['.', ',', '_']).map(digits).filter(|more| *more > 0) {
        len += 1 + more;
    }
    // `3.14abc` is the number 3 before a word.
    [len, whole].into_iter().find_map(|len| Some(len + unit_len(&rest[len..])?))
}

fn digits(rest: &str) -> usize {
    rest.bytes().take_while(u8::is_ascii_digit).count()
}

/// Returns the length of a unit, exponent or per cent sign after a number; `None` if other letters follow.
fn unit_len(rest: &str) -> Option<usize> {
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = digits(&exponent[sign..]);
        let len = 1 + sign + digits;
        if (1..=3).contains(&digits) && !goes_on(&rest[len..]) {
            return Some(len);
        }
    }
    if rest.starts_with('%') {
        return Some(1);
    }
    let letters = letters(rest);
    if letters == 0 {
        return (!goes_on(rest)).then(|| distant_unit_len(rest));
    }
    let unit = &rest[..letters];
    if known::is_duration(unit)
        && let Some(more) = more_duration_len(&rest[letters..])
    {
        return Some(letters + more);
    }
    (known::is_unit(unit) && !goes_on(&rest[letters..])).then_some(letters)
}

/// Returns the length of the rest of a duration of several units, such as `30m` of `1h30m`.
fn more_duration_len(rest: &str) -> Option<usize> {
    let mut len = 0;
    loop {
        let rest = &rest[len..];
        let blank = usize::from(rest.starts_with(' '));
        let digits = digits(&rest[blank..]);
        let unit = letters(&rest[blank + digits..]);
        let end = blank + digits + unit;
        if digits == 0 || !known::is_duration(&rest[blank + digits..end]) {
            return (len > 0 && !goes_on(rest)).then_some(len);
        }
        len += end;
    }
}

/// Returns the length of a space and a unit.
fn distant_unit_len(rest: &str) -> usize {
    let Some(unit) = rest.strip_prefix(' ') else { return 0 };
    let letters = if unit.starts_with('%') { 1 } else { letters(unit) };
    let is_unit = known::is_distant_unit(&unit[..letters]) && !goes_on(&unit[letters..]);
    if is_unit { 1 + letters } else { 0 }
}

fn letters(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len())
}

/// Returns true for `0x7f3a`, or for eight hexadecimal digits with letters among them.
fn is_hex(word: &str) -> bool {
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match word.strip_prefix("0x") {
        Some(digits) => !digits.is_empty() && all(digits),
        None => word.len() >= 8 && all(word),
    }
}

fn is_uuid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let groups = || word.split('-');
    groups().map(str::len).eq(lengths)
        && groups().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
