//! The masked text of a reason, in which numbers, ids, quoted values and paths are replaced by placeholders.
//!
//! Reasons that differ only in such values have the same mask, and therefore the same [fingerprint](crate::fingerprint). The
//! recognised values and their order are part of [`MASK_VERSION`], because stores and alerts remember fingerprints.

mod known;
mod quotes;
mod shapes;
mod token;
mod words;

use quotes::Quotes;
use token::{Token, is_blank};

/// The version of the masks. Any change of the masked values needs a new version, which changes all fingerprints.
pub const MASK_VERSION: u64 = 1;

/// The maximum length of a mask, in characters.
pub const MAX_MASK: usize = 200;

/// The limit of passes: masks are masked again until they no longer change. Usually there are two passes: one that masks, and
/// one without a change.
const MAX_PASSES: usize = 16;

/// The placeholders. They are not masked again, so that the mask of a mask is the mask itself.
const PLACEHOLDERS: [&str; 9] =
    ["<n>", "<id>", "<q>", "<url>", "<path>", "<hex>", "<addr>", "<arn>", "<time>"];

/// Returns the reason with a placeholder for each value in it, in at most [`MAX_MASK`] characters and on one line.
///
/// ```
/// use drumline_dlq::mask::mask;
///
/// assert_eq!(mask("no user 17"), "no user <n>");
/// assert_eq!(mask("GET https://api.example.com/x/17?y=1: 503 after 1.25s"), "GET <url>: <n> after <n>");
/// assert_eq!(mask("422 Unprocessable Entity: no order \"A-1\""), "422 Unprocessable Entity: no order <q>");
/// ```
pub fn mask(reason: &str) -> String {
    // The result of the first pass is so short that the other passes cost little, however long the reason is.
    let mut masked = pass(without_attempt(reason));
    for _ in 1..MAX_PASSES {
        let again = pass(&masked);
        if again == masked {
            break;
        }
        masked = again;
    }
    masked
}

/// Returns the reason of the last attempt, to which a worker adds `attempt 5 of 5: ` when it stops retrying a job. The
/// attempt's history contains it without that text.
fn without_attempt(mut reason: &str) -> &str {
    let number = |text: &'static str| {
        move |rest: &str| -> Option<usize> {
            let digits = rest.strip_prefix(text)?.bytes().take_while(u8::is_ascii_digit).count();
            (digits > 0).then_some(text.len() + digits)
        }
    };
    let prefix = |reason: &str| {
        let attempt = number("attempt ")(reason)?;
        let most = number(" of ")(&reason[attempt..])?;
        reason[attempt + most..].strip_prefix(": ").map(str::len)
    };
    while let Some(rest) = prefix(reason) {
        reason = &reason[reason.len() - rest..];
    }
    reason
}

/// Masks each value once, from left to right.
fn pass(reason: &str) -> String {
    // A character has at most four bytes.
    const ENOUGH: usize = 4 * (MAX_MASK + 1);
    let mut masked = String::with_capacity(reason.len().min(ENOUGH));
    let mut quotes = Quotes::default();
    let mut at = 0;
    while masked.len() <= ENOUGH {
        let Some(token) = next(&reason[..at], &reason[at..], &masked, &mut quotes) else { break };
        match token {
            Token::Blank(len) => {
                if !masked.is_empty() && !masked.ends_with(' ') {
                    masked.push(' ');
                }
                at += len;
            }
            Token::Kept(len) => {
                masked.push_str(&reason[at..at + len]);
                at += len;
            }
            Token::Masked(placeholder, len) => {
                at += len;
                push(&mut masked, placeholder, &reason[at..]);
            }
        }
    }
    masked.truncate(masked.trim_end().len());
    cut(masked)
}

/// Recognises the token at the start of `rest`, after the text `past`. `masked` is the mask of that text.
fn next(past: &str, rest: &str, masked: &str, quotes: &mut Quotes) -> Option<Token> {
    let first = rest.chars().next()?;
    let before = past.chars().next_back();
    if is_blank(first) {
        return Some(Token::Blank(first.len_utf8()));
    }
    let token = placeholder(rest).or_else(|| quotes.token(rest, before, masked)).or_else(|| {
        let is_start = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // A text that continues after a placeholder also continued after its value.
        let is_run_start =
            before.is_none_or(shapes::ends_run) && !PLACEHOLDERS.iter().any(|known| past.ends_with(known));
        let value = || shapes::shape(rest, is_run_start).or_else(|| words::word(rest, before, masked));
        is_start.then(value).flatten()
    });
    Some(token.unwrap_or(Token::Kept(first.len_utf8())))
}

fn placeholder(rest: &str) -> Option<Token> {
    PLACEHOLDERS.iter().find(|known| rest.starts_with(**known)).map(|known| Token::Kept(known.len()))
}

/// Adds a placeholder before `rest`. In a list, only the first one of the same kind is kept: `<n>, …`. The keys of an object
/// are no list.
fn push(masked: &mut String, placeholder: &str, rest: &str) {
    let list = masked.trim_end_matches(' ');
    if let Some(list) = list.strip_suffix(',').filter(|_| !rest.starts_with([':', '='])) {
        let (kept, is_begun) = match list.strip_suffix(", …") {
            Some(first) => (first, true),
            None => (list, false),
        };
        if kept.ends_with(placeholder) {
            let len = list.len();
            masked.truncate(len);
            if !is_begun {
                masked.push_str(", …");
            }
            return;
        }
    }
    masked.push_str(placeholder);
}

/// Shortens a text that is too long, between words if possible.
fn cut(mut masked: String) -> String {
    let Some((end, _)) = masked.char_indices().nth(MAX_MASK) else { return masked };
    let (last, _) = masked[..end].char_indices().next_back().unwrap_or_default();
    let end = masked[..last].rfind(' ').filter(|blank| *blank >= last / 2).unwrap_or(last);
    masked.truncate(end);
    masked.push('…');
    masked
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
