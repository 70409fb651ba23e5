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
