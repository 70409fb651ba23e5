//! JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)), and the readable form of fields.

use super::tables::MAX_NAME_BYTES;

/// Means any name or index in a pattern, and replaces a hidden name in a pointer.
pub(super) const ANY: &str = "*";

/// Appends a name to a pointer. A name that is too long for a field name is hidden.
pub(super) fn push_name(pointer: &mut String, name: &str) {
    pointer.push('/');
    if name.len() > MAX_NAME_BYTES {
        pointer.push_str(ANY);
        return;
    }
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Returns the pointer with `*` instead of each index, so that findings in one list are equal.
pub(super) fn pattern(pointer: &str) -> String {
    let parts = pointer.split('/').map(|part| if is_index(part) { ANY } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the field as people write it: `payload.users[0].name`. Names that need quotes are written as in `payload["a b"]`.
///
/// ```
/// use drumline_contract::guards::field;
/// assert_eq!(field("payload", "/users/0/first name"), r#"payload.users[0]["first name"]"#);
/// assert_eq!(field("payload", ""), "payload");
/// ```
pub fn field(root: &str, pointer: &str) -> String {
    let mut field = root.to_owned();
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@');
        let part = if is_index(&name) {
            format!("[{name}]")
        } else if name == ANY || (!name.is_empty() && name.chars().all(is_plain)) {
            let dot = if field.is_empty() { "" } else { "." };
            format!("{dot}{name}")
        } else {
            format!("[{name:?}]")
        };
        field.push_str(&part);
    }
    field
}

fn is_index(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_like_code_and_stay_on_one_line() {
        let table = [
            ("/a/b", "payload.a.b"),
            ("/a/0/12", "payload.a[0][12]"),
            ("/recipients/*/name", "payload.recipients.*.name"),
            ("/a~1b", "payload[\"a/b\"]"),
            ("/~01", "payload[\"~1\"]"),
            ("/", "payload[\"\"]"),
            ("/a\nb\u{7}", "payload[\"a\\nb\\u{7}\"]"),
            ("/straße", "payload.straße"),
        ];
        for (pointer, expected) in table {
            assert_eq!(field("payload", pointer), expected);
        }
        assert_eq!(field("", "/a/b"), "a.b");
        assert_eq!(pattern("/a/0/b/12/c3"), "/a/*/b/*/c3");
    }

    #[test]
    fn names_are_escaped_and_bounded() {
        let mut pointer = String::new();
        push_name(&mut pointer, "a/~b");
        push_name(&mut pointer, &"x".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(pointer, "/a~1~0b/*");
    }
}
