//! Converts `file:PATH` to a path.

use std::path::PathBuf;

/// Returns the path that follows `file:`, without its percent-encoding.
pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    let shape = "is not file:PATH, such as file:jobs.db, file:/var/lib/jobs.db or file:///var/lib/jobs.db";
    if text.contains('#') {
        return Err(format!("{shape}: write # as %23"));
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if let Some(name) = query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair)).next()
        && !name.is_empty()
    {
        return Err(format!("{name}: a file has no such parameter; write ? in a path as %3F"));
    }
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return Err(format!("{shape}: the file is on this machine")),
        None => path,
    };
    let path = decoded(path).ok_or_else(|| format!("{shape}: its percent-encoding is wrong"))?;
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(shape.to_owned());
    }
    Ok(PathBuf::from(path))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first == b'%' {
            let (digits, others) = rest.split_at_checked(2)?;
            // A sign is not a digit, but the parser would accept it.
            let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = others;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_or_absolute() {
        for (text, expected) in [
            ("jobs.db", "jobs.db"),
            ("./a/jobs.db", "./a/jobs.db"),
            ("/a/jobs.db", "/a/jobs.db"),
            ("///a/jobs.db", "/a/jobs.db"),
            ("a%20b%3F%23.db", "a b?#.db"),
            ("%C3%B6.db", "ö.db"),
        ] {
            assert_eq!(path(text), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_is_no_path_of_this_machine_is_refused() {
        for text in ["", "//host/jobs.db", "/a/", "a%2", "a%zz", "a%+1", "a%00", "a%ff", "a#b", "a?mode=ro"] {
            assert!(path(text).is_err(), "{text}");
        }
    }
}
