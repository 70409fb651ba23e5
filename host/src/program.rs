//! The name of the program, as its operator uses it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::LazyLock;

use crate::unseen::is_unseen;

/// The name of a program that was started without one.
const UNNAMED: &str = "drumline";

/// Returns the name with which this process was started, without its folder: the service's own name in help and errors.
pub fn program() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| named(std::env::args_os().next().as_deref()));
    &NAME
}

fn named(first: Option<&OsStr>) -> String {
    let name = first.map(Path::new).and_then(Path::file_name).map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    let name = name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(&name);
    let shown: String = name.chars().map(|c| if is_unseen(c) { '\u{FFFD}' } else { c }).collect();
    if shown.is_empty() { UNNAMED.to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_by_the_file_it_was_started_as() {
        let table = [
            (Some("/usr/local/bin/orders"), "orders"),
            (Some("./orders"), "orders"),
            (Some("orders"), "orders"),
            (Some("/srv/orders-1.4"), "orders-1.4"),
            (Some("a\u{1b}[2J"), "a\u{FFFD}[2J"),
            (Some(""), "drumline"),
            (Some("/"), "drumline"),
            (None, "drumline"),
        ];
        for (first, name) in table {
            assert_eq!(named(first.map(OsStr::new)), name, "{first:?}");
        }
    }
}
