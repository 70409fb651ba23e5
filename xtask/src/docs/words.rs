//! A budget of words that make text hard to read. It only falls: a commit that removes some lowers it, and no commit may raise
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use xtask::project;

use super::page::Page;

/// A kind of wording, and the words that identify it.
struct Kind {
    name: &'static str,
    /// The words in lower case. A pattern of several words matches them in this order.
    patterns: &'static [&'static str],
}

const KINDS: [Kind; 6] = [
    Kind { name: "tell", patterns: &["tell", "tells", "told", "telling"] },
    Kind {
        name: "nobody",
        patterns: &["nobody", "somebody", "anybody", "whoever", "whatever", "whichever", "wherever"],
    },
    Kind { name: "mend", patterns: &["mend", "mends", "mended", "mending"] },
    Kind { name: "come back", patterns: &["come back", "comes back", "came back", "coming back"] },
    Kind { name: "for good", patterns: &["for good"] },
    Kind { name: "is to", patterns: &["is to", "are to", "was to", "were to"] },
];

/// Summaries of documentation that begin with a question word.
const SUMMARIES: (&str, [&str; 3]) = ("summary: What, Whether, Where", ["What ", "Whether ", "Where "]);

type Counts = BTreeMap<String, usize>;

fn budget_file() -> PathBuf {
    project::root().join("xtask/words.txt")
}

fn budget() -> Result<Counts> {
    let text = fs::read_to_string(budget_file()).context("the budget of words")?;
    let counts = text.lines().filter_map(|line| line.rsplit_once(' '));
    Ok(counts.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect())
}

/// Returns a line for each count that differs from the budget.
pub(super) fn over_budget(pages: &[Page]) -> Result<Vec<String>> {
    Ok(compare(&counts(pages), &budget()?))
}

fn compare(counts: &Counts, budget: &Counts) -> Vec<String> {
    let differences = counts.iter().filter_map(|(name, &count)| {
        let allowed = budget.get(name).copied().unwrap_or_default();
        match count.cmp(&allowed) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(format!(
                "words of the kind \"{name}\": {count}, and {allowed} are allowed: use the field's own words (subject, verb, object)"
            )),
            std::cmp::Ordering::Less => Some(format!(
                "words of the kind \"{name}\": {count}, fewer than the budget of {allowed}: cargo xtask docs --write-budget"
            )),
        }
    });
    differences.collect()
}

/// Writes the current counts as the budget. Fails if one is above the budget.
pub(super) fn write_budget(pages: &[Page]) -> Result<()> {
    let (counts, budget) = (counts(pages), budget()?);
    for (name, count) in &counts {
        let allowed = budget.get(name).copied().unwrap_or_default();
        ensure!(
            *count <= allowed,
            "words of the kind \"{name}\": {count}, and the budget of {allowed} only falls"
        );
    }
    let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
    let lines = lines.concat();
    print!("{lines}");
    fs::write(budget_file(), lines).context("the budget of words")
}

fn counts(pages: &[Page]) -> Counts {
    let mut counts: Counts = KINDS.iter().map(|kind| (kind.name.to_owned(), 0)).collect();
    counts.insert(SUMMARIES.0.to_owned(), 0);
    // The changelog describes the past, and this file contains the words themselves.
    let counted = pages
        .iter()
        .filter(|page| !page.path.ends_with("CHANGELOG.md") && !page.path.ends_with("docs/words.rs"));
    for page in counted {
        for line in page.text.lines() {
            count_line(line, &mut counts);
        }
    }
    counts
}

fn count_line(line: &str, counts: &mut Counts) {
    let trimmed = line.trim_start();
    let summary = trimmed.strip_prefix("/// ").or_else(|| trimmed.strip_prefix("//! "));
    if summary.is_some_and(|text| SUMMARIES.1.iter().any(|word| text.starts_with(word))) {
        *counts.entry(SUMMARIES.0.to_owned()).or_default() += 1;
    }
    let lower = line.to_lowercase();
    let words: Vec<&str> =
        lower.split(|it: char| !it.is_alphanumeric() && it != '_').filter(|word| !word.is_empty()).collect();
    for kind in &KINDS {
        let found = kind.patterns.iter().map(|pattern| {
            let pattern: Vec<&str> = pattern.split(' ').collect();
            words.windows(pattern.len()).filter(|window| **window == *pattern).count()
        });
        *counts.entry(kind.name.to_owned()).or_default() += found.sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_whole_words() {
        let text = "/// What it tells.\nlet untold = retell(\"Nobody is\tto come back\");\n// It is toothless, for good.";
        let counts = counts(&[Page { path: "a.rs".into(), text: text.to_owned() }]);
        let expected = [
            ("come back", 1),
            ("for good", 1),
            ("is to", 1),
            ("mend", 0),
            ("nobody", 1),
            ("summary: What, Whether, Where", 1),
            ("tell", 1),
        ];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    }

    #[test]
    fn the_budget_only_falls() {
        let counts = |count| Counts::from([("tell".to_owned(), count)]);
        assert!(compare(&counts(3), &counts(3)).is_empty());
        assert!(compare(&counts(4), &counts(3))[0].contains("are allowed"));
        assert!(compare(&counts(2), &counts(3))[0].contains("--write-budget"));
    }
}
