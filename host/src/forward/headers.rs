//! Headers that the settings add to every request. Their values are secrets.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that describe the message itself: another value would break the connection.
const FRAMING: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// Reads headers, one in a line: `Name: value`. A value `@/path` is replaced by the file's content, and a whole text `@/path`
/// is a file with such lines. Errors show no value.
pub(crate) fn read_headers(text: &str) -> Result<HeaderMap, String> {
    let content = match text.trim().strip_prefix('@') {
        Some(path) if !path.contains('\n') => file(path)?,
        _ => text.to_owned(),
    };
    let mut headers = HeaderMap::new();
    for (number, line) in content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = number + 1;
        let (name, value) =
            line.split_once(':').ok_or(format!("line {number} must look like Name: value"))?;
        let name =
            HeaderName::try_from(name.trim()).map_err(|_| format!("line {number} has no valid name"))?;
        if FRAMING.contains(&name.as_str()) {
            return Err(format!("{name} cannot be set"));
        }
        let value = match value.trim().strip_prefix('@') {
            Some(path) => file(path)?.trim().to_owned(),
            None => value.trim().to_owned(),
        };
        let value = HeaderValue::try_from(value);
        let mut value =
            value.map_err(|_| format!("the value of {name} has characters that no header may have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn file(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err("a file is named by its whole path, such as @/run/secrets/token".to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_lines_and_values_may_be_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let text = format!("X-Api-Key: @{}\n\n x-team : a; b: c\n", path.display());
        let headers = read_headers(&text).unwrap();
        assert_eq!(
            (&headers["x-api-key"], &headers["x-team"]),
            (&"s3cret".parse().unwrap(), &"a; b: c".parse().unwrap())
        );
        std::fs::write(&path, text.replace('@', "@/nowhere")).unwrap();
        assert!(read_headers(&format!("@{}", path.display())).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "A: 1\nB: 2").unwrap();
        assert_eq!(read_headers(&format!("@{}\n", path.display())).unwrap().len(), 2);
    }

    #[test]
    fn errors_and_debug_output_show_no_value() {
        assert!(!format!("{:?}", read_headers("A: s3cret").unwrap()).contains("s3cret"));
        for text in ["s3cret", "A b: s3cret", "Host: s3cret", "A: s3cret\u{1}", "A: @s3cret", "@s3cret"] {
            let error = read_headers(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
