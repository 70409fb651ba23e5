#![allow(clippy::unwrap_used)]

use super::*;

/// The names and texts of a crate's files.
type Files<'a> = &'a [(&'a str, &'a str)];

/// Returns the dependencies of a crate with these files, as `from>to` without folder and extension.
fn arrows(files: Files<'_>) -> String {
    let root = [("lib", "")].into_iter().filter(|_| files.iter().all(|(file, _)| *file != "lib"));
    let files = files.iter().copied().chain(root);
    let files: Vec<_> = files.map(|(file, text)| (format!("a/src/{file}.rs"), text.to_owned())).collect();
    let short = |file: &str| file.trim_start_matches("a/src/").trim_end_matches(".rs").to_owned();
    let arrows = arrows_of("a/src", &files).unwrap();
    arrows.iter().map(|(from, to)| format!("{}>{}", short(from), short(to))).collect::<Vec<_>>().join(" ")
}

#[test]
fn decisions_know_nothing_of_what_performs_them() {
    let table = [
        ("timetable/src/core/due.rs", "timetable/src/core/state.rs", false),
        ("timetable/src/core/due.rs", "timetable/src/core.rs", false),
        ("timetable/src/core/schedule.rs", "timetable/src/run.rs", true),
        ("timetable/src/run.rs", "timetable/src/core/due.rs", false),
        ("host/src/core/a.rs", "host/src/b.rs", false),
    ];
    for (from, to, expected) in table {
        assert_eq!(leaves(&(from.to_owned(), to.to_owned())), expected, "{from} -> {to}");
    }
}

#[test]
fn paths_lead_to_the_file_that_defines_their_name() {
    let table: [(&str, Files<'_>, &str); 13] = [
        ("an import", &[("lib", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "")], "a>b"),
        ("a group", &[("a", "use crate::{b::{self, B}, c::C as D};"), ("b", ""), ("c", "")], "a>b a>c"),
        (
            "a comma at the end",
            &[("a", "pub use c::C;"), ("a/b", "use super::{C,};"), ("a/c", "")],
            "a>a/c a/b>a/c",
        ),
        ("a path in a type", &[("a", "fn f(b: &super::b::B) {}"), ("b", "")], "a>b"),
        ("a path in a macro", &[("a", "fn f() { print!(\"{}\", crate::b::B) }"), ("b", "")], "a>b"),
        ("a child", &[("a", "mod b; use b::B;"), ("a/b", "")], "a>a/b"),
        ("a parent", &[("a", "mod b;"), ("a/b", "use super::A;")], "a/b>a"),
        ("all of a parent", &[("a/mod", "mod b;"), ("a/b", "use super::*;")], "a/b>a/mod"),
        (
            "a name that is passed on",
            &[
                ("lib", "pub use a::{A, b::B};"),
                ("a/mod", "pub use b::B;"),
                ("a/b", ""),
                ("c", "use crate::B;"),
            ],
            "a/mod>a/b c>a/b lib>a/b lib>a/mod",
        ),
        (
            "an imported module",
            &[("a", "use crate::b; fn f() { b::c::g() }"), ("b", ""), ("b/c", "")],
            "a>b a>b/c",
        ),
        ("another crate", &[("a", "use std::b::B; fn f() -> ::b::B { x.b::<u8>() }"), ("b", "")], ""),
        ("a module inside a file", &[("a", "mod c { use super::super::b::B; }"), ("b", "")], "a>b"),
        (
            "words and tests",
            &[
                (
                    "a",
                    "//! [`crate::b`]\n/// crate::b::B\nconst A: &str = \"crate::b\";\n#[cfg(test)] mod tests { use crate::b::B; }\n#[cfg(test)] use crate::b::B;",
                ),
                ("b", ""),
            ],
            "",
        ),
    ];
    for (case, files, expected) in table {
        assert_eq!(arrows(files), expected, "{case}");
    }
}

#[test]
fn circles_are_named_with_their_arrows() {
    let arrows = ["ab", "bc", "ca", "cd", "ea"];
    let file = |name: &str| format!("x/src/{name}.rs");
    let arrows = arrows.map(|arrow| (file(&arrow[..1]), file(&arrow[1..]))).into();
    let named = "a circle of 3 files:\n  x/src/a.rs -> x/src/b.rs\n  x/src/b.rs -> x/src/c.rs\n  x/src/c.rs -> x/src/a.rs";
    assert_eq!(circles(&arrows).iter().map(show).collect::<Vec<_>>(), [named]);
}

#[test]
fn the_handlers_parts_know_those_before_them() {
    let table = [
        ("handler/src/core/decide/run.rs", "handler/src/message/identity.rs", false),
        ("handler/src/core/decide/run.rs", "handler/src/core/claim.rs", false),
        ("handler/src/core/decide/run.rs", "handler/src/run/invoke.rs", true),
        ("handler/src/message/identity.rs", "handler/src/core/claim.rs", true),
        ("handler/src/lib.rs", "handler/src/run/mod.rs", false),
        ("host/src/core/a.rs", "host/src/run/b.rs", false),
    ];
    for (from, to, expected) in table {
        assert_eq!(runs_up(&(from.to_owned(), to.to_owned())), expected, "{from} -> {to}");
    }
}
