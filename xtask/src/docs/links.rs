//! Links between the pages of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use xtask::project;

use super::page::{Page, normalized};

/// Returns a line for each broken link: to a file that does not exist, or to a heading that its page does not have.
pub(super) fn broken(pages: &[Page]) -> Vec<String> {
    let books: Vec<&Page> =
        pages.iter().filter(|page| page.path.extension().is_some_and(|it| it == "md")).collect();
    let headings: BTreeMap<PathBuf, BTreeSet<String>> =
        books.iter().map(|page| (page.path.clone(), anchors(&page.text))).collect();
    let mut broken = Vec::new();
    for page in books {
        let folder = page.path.parent().unwrap_or(Path::new(""));
        for (line, target) in targets(&page.text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.path.clone() } else { normalized(&folder.join(file)) };
            let why = if !project::root().join(&path).exists() {
                "no such file"
            } else if !anchor.is_empty() && headings.get(&path).is_some_and(|known| !known.contains(anchor)) {
                "no such heading"
            } else {
                continue;
            };
            broken.push(format!("{}:{line}: {target}: {why}", page.path.display()));
        }
    }
    broken
}

/// Returns the targets of links within the repository, with their line numbers.
fn targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let behind = line.match_indices("](").map(move |(at, mark)| &line[at + mark.len()..]);
        let targets = behind.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        let own = targets.filter(|target| {
            !target.contains("://") && !target.starts_with("mailto:") && !target.contains(' ')
        });
        own.map(move |target| (number, target))
    })
}

/// Returns the lines outside of code blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            return None;
        }
        (!in_code).then_some((index + 1, line))
    })
}

/// Returns the anchors of a page's headings, in GitHub's form.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let anchor = anchor(heading);
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

fn anchor(heading: &str) -> String {
    // Only the text of a link in a heading counts.
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, behind)| behind);
    }
    text.push_str(rest);
    let kept = text.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.map(|it| if it == ' ' { '-' } else { it }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page { path: path.into(), text: text.to_owned() }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let pages = [
            page(
                "README.md",
                "# A title\n[a](#a-title) [b](#b) [c](Cargo.toml) [d](nothing.md) [e](https://nowhere.test)",
            ),
            page("docs/a.md", "```\n[f](nothing)\n```\n[g](../README.md#a-title)\n[h](../README.md#h)"),
        ];
        let broken = broken(&pages);
        let found: Vec<&str> = broken.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                "README.md:2: #b: no such heading",
                "README.md:2: nothing.md: no such file",
                "docs/a.md:5: ../README.md#h: no such heading"
            ]
        );
    }

    #[test]
    fn anchors_are_those_of_github() {
        let table = [
            ("The `auto` backoff", "the-auto-backoff"),
            ("0003: Handlers, on their own threads", "0003-handlers-on-their-own-threads"),
            ("[Effects](stores.md) once", "effects-once"),
            ("a_b / c", "a_b--c"),
        ];
        for (heading, expected) in table {
            assert_eq!(anchor(heading), expected, "{heading}");
        }
    }
}
