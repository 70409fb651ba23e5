//! Finds the field at a position in a body's text, for errors that name it. The body need not be complete JSON.

use std::ops::Range;

use drumline_contract::guards::{field, push_name};

/// A field during the walk.
struct Level {
    is_object: bool,
    from: usize,
    /// The length of its pointer.
    pointer: usize,
    index: usize,
}

/// Calls `visit` with the pointer and the position of each value in the body; children come before their parents.
fn for_each_value(body: &str, mut visit: impl FnMut(&str, Range<usize>)) {
    let (bytes, mut at) = (body.as_bytes(), 0);
    let mut pointer = String::new();
    let mut levels: Vec<Level> = Vec::new();
    loop {
        at = after_space(bytes, at);
        match bytes.get(at) {
            None => break,
            Some(opening @ (b'{' | b'[')) => {
                let is_object = *opening == b'{';
                levels.push(Level { is_object, from: at, pointer: pointer.len(), index: 0 });
                at += 1;
            }
            Some(_) => {
                let to = value_end(bytes, at);
                visit(&pointer, at..to);
                at = to;
            }
        }
        let Some(next) = next_child(body, at, &mut pointer, &mut levels, &mut visit) else { break };
        at = next;
    }
    while let Some(level) = levels.pop() {
        pointer.truncate(level.pointer);
        visit(&pointer, level.from..bytes.len());
    }
}

/// Returns the position of the next value, and makes `pointer` point to it; `None` at the end, or where the text stops being
/// JSON.
fn next_child(
    body: &str,
    mut at: usize,
    pointer: &mut String,
    levels: &mut Vec<Level>,
    visit: &mut impl FnMut(&str, Range<usize>),
) -> Option<usize> {
    let bytes = body.as_bytes();
    loop {
        let level = levels.last_mut()?;
        pointer.truncate(level.pointer);
        at = after_space(bytes, at);
        match *bytes.get(at)? {
            b',' => at += 1,
            b']' | b'}' => {
                at += 1;
                visit(pointer, level.from..at);
                levels.pop();
            }
            b'"' if level.is_object => {
                let to = value_end(bytes, at);
                let text = body.get(at..to)?;
                let name = serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned());
                let colon = after_space(bytes, to);
                if bytes.get(colon) != Some(&b':') {
                    return None;
                }
                push_name(pointer, &name);
                return Some(colon + 1);
            }
            _ if level.is_object => return None,
            _ => {
                push_name(pointer, &level.index.to_string());
                level.index += 1;
                return Some(at);
            }
        }
    }
}

fn after_space(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// Returns the end of a string, a number or a word, at least one byte after `at`.
fn value_end(bytes: &[u8], at: usize) -> usize {
    if bytes[at] != b'"' {
        let length = bytes[at..].iter().take_while(|byte| !b",]} \t\n\r".contains(byte)).count();
        return at + length.max(1);
    }
    let mut is_escaped = false;
    for (index, &byte) in bytes.iter().enumerate().skip(at + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// Returns the field at a position in the body, such as `payload.name`.
pub(crate) fn field_at(body: &str, place: usize) -> String {
    let mut found: Option<String> = None;
    for_each_value(body, |pointer, range| {
        if found.is_none() && range.contains(&place) {
            // A position inside an object but outside its values is in a name.
            let is_name = matches!(body.as_bytes()[range.start], b'{');
            found = Some(if is_name { format!("a name in {}", named(pointer)) } else { named(pointer) });
        }
    });
    found.unwrap_or_else(|| named(""))
}

/// Returns the fields with at least this many bytes of the body that contain no such field, largest first.
pub(crate) fn large_fields(body: &str, bytes: usize) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut last_from = None;
    for_each_value(body, |pointer, range| {
        // Children come first: if the previous large field is inside this one, only the inner one is named.
        if range.len() < bytes || last_from.is_some_and(|from| range.contains(&from)) {
            return;
        }
        last_from = Some(range.start);
        found.push((named(pointer), range.len()));
    });
    found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    found
}

fn named(pointer: &str) -> String {
    if pointer.is_empty() { "the body".to_owned() } else { field("", pointer) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn values(body: &str) -> Vec<(String, &str)> {
        let mut values = Vec::new();
        for_each_value(body, |pointer, range| values.push((pointer.to_owned(), &body[range])));
        values
    }

    #[test]
    fn values_have_their_pointers_and_places() {
        let body = r#" {"a": [1, "x\"]", {}], "b/c": {"d": null} , "e":true}"#;
        let expected = [
            ("/a/0", "1"),
            ("/a/1", r#""x\"]""#),
            ("/a/2", "{}"),
            ("/a", r#"[1, "x\"]", {}]"#),
            ("/b~1c/d", "null"),
            ("/b~1c", r#"{"d": null}"#),
            ("/e", "true"),
            ("", body.trim()),
        ];
        assert_eq!(values(body), expected.map(|(pointer, text)| (pointer.to_owned(), text)));
        assert_eq!(values("7"), [(String::new(), "7")]);
        assert_eq!(values(""), []);
    }

    #[test]
    fn a_place_belongs_to_the_innermost_field() {
        let table = [
            ("{\"payload\":{\"a\":[1,\"x#\"]}}", "payload.a[1]"),
            ("{\"payload\":{\"a#\":1}}", "a name in payload"),
            ("{\"payload\":{\"a\":\"# is not closed", "payload.a"),
            ("{\"data\":{\"e-mail of\":{\"x y\":\"#\"}}}", "data[\"e-mail of\"][\"x y\"]"),
            ("# no JSON", "the body"),
            ("\"#\"", "the body"),
            ("{#", "a name in the body"),
        ];
        for (body, expected) in table {
            assert_eq!(field_at(body, body.find('#').unwrap()), expected, "{body}");
        }
    }

    #[test]
    fn large_fields_are_named_and_not_what_they_are_in() {
        let body = format!(
            r#"{{"type":"a","payload":{{"html":"{}","items":[{}1],"small":[7]}}}}"#,
            "x".repeat(500),
            "1,".repeat(200)
        );
        assert_eq!(
            large_fields(&body, 100),
            [("payload.html".to_owned(), 502), ("payload.items".to_owned(), 403)]
        );
        assert_eq!(large_fields(&body, 1_000), []);
        assert_eq!(large_fields(&body, 600), [("payload".to_owned(), 935)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(body in any::<String>(), json in "[\\[\\]{}\",:a1 \\\\]{0,40}") {
            for text in [&body, &json] {
                for_each_value(text, |_, range| assert!(range.start < range.end && range.end <= text.len()));
            }
        }

        /// Every value that a parser finds under a pointer is at the position that the walk reports.
        #[test]
        fn places_are_those_of_a_parser(names in prop::collection::btree_map("[a-z/~\" é]{0,6}", "[a-z\\\\\" é]{0,6}", 0..6)) {
            let value = serde_json::json!({"list": [names.clone(), 1, [true, names]]});
            let body = value.to_string();
            for (pointer, text) in values(&body) {
                prop_assert_eq!(value.pointer(&pointer), Some(&serde_json::from_str::<Value>(text).unwrap()));
            }
        }
    }
}
