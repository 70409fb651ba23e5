//! Terraform modules under the rules.

#![allow(clippy::unwrap_used)]

mod damaged;
mod expressions;
mod loading;
mod of_this_repository;
mod optional;

use std::collections::BTreeMap;

use drumline_infra_rules::model::Stack;
use drumline_infra_rules::{Template, terraform};

fn parse(text: &str) -> Template {
    terraform::parse("module", &[("main.tf".to_owned(), text.to_owned())]).unwrap()
}

fn stack(text: &str) -> Stack {
    parse(text).stack(&BTreeMap::new())
}
