//! Tests that `RULES.md` contains the rules of the code.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use drumline_infra_rules::rules;

/// The end of the written part, after which the list begins.
const MARK: &str = "--test rules_md -->\n";

/// The groups by the letter of their IDs, in the order of the document.
const GROUPS: [(char, &str); 11] = [
    ('Q', "Queues"),
    ('B', "Buckets of payloads"),
    ('P', "Queue policies"),
    ('I', "Roles"),
    ('L', "Lambda"),
    ('E', "ECS"),
    ('S', "Scaling"),
    ('A', "Alarms"),
    ('O', "Logs and dashboards"),
    ('N', "APIs before queues"),
    ('T', "The template"),
];

fn list() -> String {
    let mut text = String::new();
    for (letter, name) in GROUPS {
        writeln!(text, "\n## {name}\n").unwrap();
        let mut group: Vec<_> = rules().filter(|rule| rule.id.starts_with(letter)).collect();
        group.sort_by_key(|rule| rule.id);
        for rule in group {
            let star = if rule.at_bounds { "\\*" } else { "" };
            let (first, rest) = rule.title.split_at(1);
            writeln!(text, "- **{}{star}** {}{rest}.", rule.id, first.to_ascii_uppercase()).unwrap();
            writeln!(text, "  {}", rule.reason).unwrap();
            writeln!(text, "  *Fix:* {}", rule.fix).unwrap();
        }
    }
    text
}

#[test]
fn the_list_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RULES.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.find(MARK).expect("the mark is there") + MARK.len();
    let expected = format!("{}{}", &text[..end], list());
    #[allow(clippy::disallowed_methods, reason = "a switch of this test")]
    let writes = std::env::var_os("DRUMLINE_WRITE_RULES").is_some();
    if writes {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(text == expected, "run this test with DRUMLINE_WRITE_RULES=1");
    }
}

#[test]
fn each_has_an_id_of_its_own_and_says_why() {
    let ids: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().count());
    for rule in rules() {
        for text in [rule.reason, rule.fix] {
            assert!(text.len() > 1 && text.ends_with('.'), "{}: {text}", rule.id);
        }
        assert!(!rule.title.ends_with('.'), "{}", rule.id);
    }
}
