//! Tests that no text makes the rules panic.

use std::fs;
use std::path::Path;

use drumline_infra_rules::{Options, check, terraform};
use proptest::prelude::*;

/// Returns the text of this repository's modules, to damage it.
fn modules() -> Vec<String> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("terraform/modules");
    [
        "queue/main.tf",
        "worker-fargate/main.tf",
        "worker-fargate/scaling.tf",
        "worker-lambda/main.tf",
        "queue/variables.tf",
    ]
    .iter()
    .map(|file| fs::read_to_string(all.join(file)).unwrap())
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_modules_are_refused_or_judged(file in 0..5_usize, from in 0..6000_usize, length in 1..60_usize, put in "[a-z\\[\\]{}\"$.=0-9 \n]{0,12}") {
        let mut text = modules().swap_remove(file);
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (floor(from), floor(from + length));
        text.replace_range(from..to.max(from), &put);
        if let Ok(template) = terraform::parse("damaged", &[("main.tf".to_owned(), text)]) {
            check(&[template], &Options::default());
        }
    }

    #[test]
    fn any_text_is_refused_or_judged(text in "\\PC{0,200}") {
        if let Ok(template) = terraform::parse("any", &[("main.tf".to_owned(), text)]) {
            check(&[template], &Options::default());
        }
    }
}
