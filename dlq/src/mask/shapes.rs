//! Values with a known shape: addresses, names of resources, times and paths.

use super::token::{Token, goes_on, is_blank};

/// Recognises a value by its shape at the start of `rest`. Some shapes begin only at the start of a run of characters.
pub(super) fn shape(rest: &str, is_run_start: bool) -> Option<Token> {
    let in_run = |find: fn(&str) -> Option<usize>| if is_run_start { find(rest) } else { None };
    let found = |placeholder: &'static str| move |len: usize| Token::Masked(placeholder, len);
    (in_run(url).map(found("<url>")))
        .or_else(|| arn(rest).map(found("<arn>")))
        .or_else(|| time(rest).map(found("<time>")))
        .or_else(|| address(rest).map(found("<addr>")))
        .or_else(|| in_run(mail_address).map(found("<addr>")))
        .or_else(|| in_run(path).map(found("<path>")))
}

/// Returns true if `c` ends a path, URL or mail address.
pub(super) fn ends_run(c: char) -> bool {
    is_blank(c) || "\"'`“”„‘’«»<>|(){}[],;=:".contains(c)
}

/// Recognises `scheme://…`, up to whitespace or a quote, without the punctuation of a sentence.
fn url(rest: &str) -> Option<usize> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let scheme = rest.find(|c| !is_of_scheme(c))?;
    let is_scheme = rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest[scheme..].starts_with("://");
    let whole = is_scheme.then(|| until(rest, |c| is_blank(c) || "\"'`”’»<>)}|".contains(c)))?;
    let end = without_punctuation(&rest[..whole]);
    Some(end).filter(|end| *end > scheme + 3)
}

/// Recognises `arn:partition:service:region:account:resource`.
fn arn(rest: &str) -> Option<usize> {
    rest.strip_prefix("arn:")?;
    let end = without_punctuation(&rest[..until(rest, |c| is_blank(c) || "\"'`”’»<>)},".contains(c))]);
    (rest[..end].matches(':').count() >= 5).then_some(end)
}

/// Recognises a date, a time of day, or both.
fn time(rest: &str) -> Option<usize> {
    let date = fits(rest, "dddd-dd-dd").or_else(|| fits(rest, "dddd/dd/dd"));
    let Some(date) = date else { return clock(rest).filter(|end| !goes_on(&rest[*end..])) };
    let with_clock = rest[date..].strip_prefix(['T', 't', ' ']).and_then(clock).map(|len| date + 1 + len);
    [with_clock, Some(date)].into_iter().flatten().find(|end| !goes_on(&rest[*end..]))
}

/// Recognises `03:04:05.678Z`; without seconds only after a date.
fn clock(rest: &str) -> Option<usize> {
    let mut len = fits(rest, "dd:dd:dd").or_else(|| fits(rest, "d:dd:dd"))?;
    if let Some(fraction) = rest[len..].strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        len += if digits > 0 { 1 + digits } else { 0 };
    }
    let zone = &rest[len..];
    let zone = ["Z", "z", " UTC", " GMT"].iter().find(|name| zone.starts_with(**name)).map(|name| name.len());
    let offset = || {
        let text = rest[len..].strip_prefix(['+', '-'])?;
        Some(1 + fits(text, "dd:dd").or_else(|| fits(text, "dddd"))?)
    };
    Some(len + zone.or_else(offset).unwrap_or(0))
}

/// Returns the length of a form of digits (`d`) and signs, if the text starts with it.
fn fits(rest: &str, form: &str) -> Option<usize> {
    let is_same = |(byte, sign): (u8, u8)| if sign == b'd' { byte.is_ascii_digit() } else { byte == sign };
    (rest.len() >= form.len() && rest.bytes().zip(form.bytes()).all(is_same)).then_some(form.len())
}

/// Recognises an address of a host, with its port.
fn address(rest: &str) -> Option<usize> {
    let end = match rest.strip_prefix('[') {
        Some(inner) => {
            let len = ipv6(inner).filter(|len| inner[*len..].starts_with(']'))?;
            len + 2
        }
        None => ipv4(rest).or_else(|| ipv6(rest)).or_else(|| hardware_address(rest))?,
    };
    let port = rest[end..]
        .strip_prefix([':', '/'])
        .map_or(0, |text| text.bytes().take_while(u8::is_ascii_digit).count());
    let end = if (1..=5).contains(&port) { end + 1 + port } else { end };
    (!goes_on(&rest[end..])).then_some(end)
}

fn ipv4(rest: &str) -> Option<usize> {
    let mut len = 0;
    for part in 0..4 {
        if part > 0 {
            rest[len..].strip_prefix('.')?;
            len += 1;
        }
        let digits = rest[len..].bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        len += digits;
    }
    // A version of five numbers is no address.
    let next = &rest.as_bytes()[len..];
    (!matches!(next, [b'.', b'0'..=b'9', ..])).then_some(len)
}

/// The maximum length of an IPv6 address, with the last four bytes in decimal.
const MAX_IPV6: usize = 45;

fn ipv6(rest: &str) -> Option<usize> {
    let is_of_address = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':';
    let len = rest.bytes().take(MAX_IPV6 + 1).take_while(is_of_address).count();
    let text = rest.get(..len)?;
    // A colon after an address is not part of it.
    let text = if text.ends_with("::") { text } else { text.trim_end_matches(':') };
    let groups = || text.split(':');
    let is_short = groups().filter(|group| group.is_empty()).count() <= 3 && text.matches("::").count() == 1;
    let is_full = groups().count() == 8 && groups().all(|group| !group.is_empty());
    let is_address = (is_short && groups().count() <= 9 || is_full)
        && len <= MAX_IPV6
        && groups().all(|group| group.len() <= 4)
        && text.contains(|c: char| c.is_ascii_digit());
    is_address.then_some(text.len())
}

/// Recognises `00:1a:2b:3c:4d:5e`.
fn hardware_address(rest: &str) -> Option<usize> {
    let text = rest.get(..17)?;
    let is_group = |group: &str| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_address = text.split(':').count() == 6 && text.split(':').all(is_group);
    (is_address && text.contains(|c: char| c.is_ascii_digit())).then_some(17)
}

/// Recognises `user@example.com`.
fn mail_address(rest: &str) -> Option<usize> {
    let is_of_user = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    let user = rest.find(|c| !is_of_user(c)).filter(|len| *len > 0)?;
    let host = rest[user..].strip_prefix('@')?;
    let len = host.find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c))).unwrap_or(host.len());
    let host = host[..len].trim_end_matches(['.', '-']);
    host.contains('.').then_some(user + 1 + host.len())
}

/// Recognises a path of a file, with the position that compilers add, or a path of a request.
fn path(rest: &str) -> Option<usize> {
    let drive = match rest.as_bytes() {
        [b'A'..=b'Z' | b'a'..=b'z', b':', b'\\', ..] => 2,
        _ => 0,
    };
    let run = drive + until(&rest[drive..], ends_run);
    let end = drive + without_punctuation(&rest[drive..run]);
    let text = &rest[..end];
    let has_name = text[drive..].contains(char::is_alphanumeric);
    let is_rooted = drive > 0 || ["/", "./", "../", "~/", "\\\\"].iter().any(|root| text.starts_with(root));
    let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/') && !text.starts_with('/');
    let is_path = has_name && (is_rooted || (is_relative(text) && !is_numeric));
    is_path.then(|| end + behind_path(&rest[end..], text))
}

/// Returns true for two separators, or one before a name with an extension.
fn is_relative(text: &str) -> bool {
    let mut parts = text.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let has_extension = || {
        let (stem, extension) = name.rsplit_once('.').unwrap_or_default();
        !stem.is_empty()
            && (1..=5).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && extension.contains(|c: char| c.is_ascii_alphabetic())
    };
    match parts.count() {
        0 => false,
        1 => !text.starts_with('/') && has_extension(),
        _ => true,
    }
}

/// Returns the length of the line and column after a path, or of the rest of a query.
fn behind_path(rest: &str, path: &str) -> usize {
    if path.contains('?') {
        let query = until(rest, |c| is_blank(c) || "\"'`”’»<>)}|".contains(c));
        return without_punctuation(&rest[..query]);
    }
    let mut end = 0;
    for _ in 0..2 {
        let digits = rest[end..]
            .strip_prefix(':')
            .map_or(0, |text| text.bytes().take_while(u8::is_ascii_digit).count());
        if digits == 0 || goes_on(&rest[end + 1 + digits..]) {
            break;
        }
        end += 1 + digits;
    }
    end
}

fn until(rest: &str, ends: impl Fn(char) -> bool) -> usize {
    rest.find(ends).unwrap_or(rest.len())
}

/// Returns the length without the punctuation of a sentence.
fn without_punctuation(text: &str) -> usize {
    let end = text.trim_end_matches(['.', ',', ':', ';', '!', '?', '…']);
    // A bracket belongs to the surrounding text, unless it is opened inside.
    if end.ends_with(']') && !end.contains('[') { end.trim_end_matches(']').len() } else { end.len() }
}
