//! The tables of settings in the documentation, against the one list of settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// The rows of the pages' tables: variable and default.
fn rows(pages: &[&str]) -> BTreeMap<String, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in pages {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("| `DRUMLINE_")) {
            let (name, rest) = line.split_once('`').unwrap();
            let default = rest.split('|').nth(1).unwrap().trim().to_owned();
            rows.entry(format!("DRUMLINE_{name}")).or_default().push(default);
        }
    }
    rows
}

#[test]
fn every_setting_is_documented_once() {
    let rows = rows(&["settings.md", "lambda.md"]);
    let mut problems = Vec::new();
    for setting in SETTINGS {
        let variable = setting.variable();
        match rows.get(&variable).map(Vec::as_slice) {
            Some([documented]) => {
                let default = setting.default.unwrap_or("–");
                if setting.default.is_some() && !documented.contains(default) {
                    problems
                        .push(format!("{variable}: the default is {default}, documented as {documented}"));
                }
            }
            // A function's default of its own is in its table.
            Some([_, _]) if variable == "DRUMLINE_EMF" => {}
            Some(several) => problems.push(format!("{variable} is documented {} times", several.len())),
            None => problems.push(format!("{variable} is not documented")),
        }
    }
    for variable in rows.keys() {
        if !SETTINGS.iter().any(|setting| setting.variable() == *variable) {
            problems.push(format!("{variable} is documented and is no setting"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Returns the TOML blocks of the book, each with the place of its first line.
fn blocks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut blocks = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = text.lines().enumerate();
        while let Some((number, _)) = lines.find(|(_, line)| *line == "```toml") {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((format!("{}:{}", path.display(), number + 2), block.join("\n")));
        }
    }
    blocks
}

#[test]
fn every_settings_file_of_the_book_is_read() {
    let blocks = blocks();
    assert!(blocks.len() >= 10, "{blocks:#?}");
    for (place, block) in blocks {
        // The page has the queue of the settings elsewhere, and the folder of a secret is not on this machine.
        let names_a_queue = block.contains("[[queue]]") || block.contains("queue_url");
        let queue =
            if names_a_queue { "" } else { "queue_url = \"https://sqs.eu-west-1.amazonaws.com/1/jobs\"\n" };
        let file = format!("{queue}{block}").replace("@/run/secrets/authorization", "Bearer x");
        if let Err(problems) = read(&[], &[], &file) {
            panic!("{place}: {problems}\n{file}");
        }
    }
}
