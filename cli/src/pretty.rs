//! Formats a body for people: breaks the lines of JSON without changing a digit.

use serde::de::IgnoredAny;

use crate::format::many_lines;

/// One level of indentation.
const STEP: &str = "  ";

/// Formats JSON over several lines in its own order and notation. Any other text stays the same except for control characters.
pub(crate) fn pretty(body: &str) -> String {
    match serde_json::from_str::<IgnoredAny>(body) {
        Ok(_) => many_lines(&broken(body)),
        Err(_) => many_lines(body),
    }
}

/// Breaks the lines of valid JSON.
pub(crate) fn broken(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut chars = json.chars().filter(whitespace_outside_of_texts()).peekable();
    let mut in_text = TextTracker::default();
    while let Some(c) = chars.next() {
        if in_text.step(c) {
            out.push(c);
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if chars.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    // Empty objects and arrays stay on their line.
                    out.extend(chars.next());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(STEP, depth));
}

/// Tracks if a character is inside a JSON string.
#[derive(Default)]
struct TextTracker {
    inside: bool,
    escaped: bool,
}

impl TextTracker {
    /// Returns true if `c` is part of a string, including its quotes.
    fn step(&mut self, c: char) -> bool {
        let was_inside = self.inside;
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.inside => self.escaped = true,
            '"' => self.inside = !self.inside,
            _ => {}
        }
        was_inside || self.inside
    }
}

/// Returns a filter that removes white space between tokens.
fn whitespace_outside_of_texts() -> impl FnMut(&char) -> bool {
    let mut in_text = TextTracker::default();
    move |&c| in_text.step(c) || !c.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_broken_and_nothing_else_is_changed() {
        let body = r#" {"z":1.000000000000000000001, "a" : [ ] ,"t":"a \"{b}\" , \\","o":{"n":[1,{}]}} "#;
        let expected = "{\n  \"z\": 1.000000000000000000001,\n  \"a\": [],\n  \"t\": \"a \\\"{b}\\\" , \\\\\",\n  \
                        \"o\": {\n    \"n\": [\n      1,\n      {}\n    ]\n  }\n}";
        assert_eq!(pretty(body), expected);
        assert_eq!(pretty("[[]]"), "[\n  []\n]");
        assert_eq!(pretty("\"text\""), "\"text\"");
    }

    #[test]
    fn what_is_not_json_stays_as_it_is_but_for_controls() {
        assert_eq!(pretty("a: 1\n  b\t{"), "a: 1\n  b\t{");
        assert_eq!(pretty("\u{1b}]0;title"), "\u{FFFD}]0;title");
    }

    proptest::proptest! {
        #[test]
        fn it_means_the_same(text in ".*", numbers in proptest::collection::vec(0u64.., 0..4)) {
            let value = serde_json::json!({ "text": text, "more": [{ "numbers": numbers }, null, {}] });
            let again: serde_json::Value = serde_json::from_str(&broken(&value.to_string())).unwrap();
            proptest::prop_assert_eq!(again, value);
        }
    }
}
