//! Tests that every rule is needed and finds its problem: `mutants.toml` lists mistakes in this repository's templates, and
//! exactly one rule must find each. The unchanged templates violate no rule.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cloudformation::{CloudFormation, yaml};
use crate::{Finding, Host, Options, Template, check, check_at_defaults, rules, terraform};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutants {
    mutant: Vec<Mutant>,
}

/// A mistake. Places are JSON pointers into the template, or `Resource/Property` for a property.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// The rule that finds the mistake.
    rule: String,
    /// The template in `infra/cloudformation`, or a queue's and a worker's template joined with `+`, as one stack.
    file: String,
    /// The thinking behind the mistake.
    mistake: String,
    /// Another template that is used together with it.
    #[serde(default)]
    beside: Option<String>,
    /// Values to set. A place that ends in `-` appends to a list.
    #[serde(default)]
    set: BTreeMap<String, Value>,
    /// Places to remove.
    #[serde(default)]
    remove: Vec<String>,
    /// Parts of texts to replace.
    #[serde(default)]
    replace: Vec<Replace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    at: String,
    from: String,
    to: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloudformation")
}

/// Reads a template's values. For two templates, reads those of the combined stack.
fn read(file: &str) -> Value {
    let read = |file: &str| yaml::parse(&std::fs::read_to_string(folder().join(file)).unwrap()).unwrap().root;
    let Some((queue, worker)) = file.split_once(" + ") else { return read(file) };
    let mut together = read(queue);
    let told = [
        ("QueueArn", r#"{"Fn::GetAtt":["Queue","Arn"]}"#, "${Queue.Arn}"),
        ("QueueName", r#"{"Fn::GetAtt":["Queue","QueueName"]}"#, "${Queue.QueueName}"),
        ("QueueUrl", r#"{"Ref":"Queue"}"#, "${Queue}"),
    ];
    let mut worker = read(worker).to_string();
    for (parameter, reference, inner) in told {
        worker = worker.replace(&format!(r#"{{"Ref":"{parameter}"}}"#), reference);
        worker = worker.replace(&format!("${{{parameter}}}"), inner);
    }
    let mut worker: Value = serde_json::from_str(&worker).unwrap();
    for (parameter, _, _) in told {
        worker["Parameters"].as_object_mut().unwrap().remove(parameter);
    }
    for section in ["Parameters", "Rules", "Conditions", "Resources", "Outputs"] {
        let of_worker = worker[section].as_object().cloned().unwrap_or_default();
        let both = together[section].as_object().cloned().unwrap_or_default().into_iter().chain(of_worker);
        together[section] = Value::Object(both.collect());
    }
    together
}

fn template(file: &str, root: &Value) -> Template {
    Template::from_source(CloudFormation::parse(file, &root.to_string()).unwrap())
}

fn mutants() -> Vec<Mutant> {
    toml::from_str::<Mutants>(include_str!("../mutants.toml")).unwrap().mutant
}

/// A replacement for the runtime's parser, which is not available here. It knows log formats.
fn environment(variables: &BTreeMap<String, String>, _: Host) -> Result<(), Vec<String>> {
    match variables.get("DRUMLINE_LOG_FORMAT").map(String::as_str) {
        None | Some("json") => Ok(()),
        Some(other) => Err(vec![format!("DRUMLINE_LOG_FORMAT: unknown format {other}")]),
    }
}

fn options() -> Options<'static> {
    Options { environment: Some(&environment) }
}

/// Converts a place to a pointer. An item of a list can be named by its `Name`, even an optional one.
fn pointer(root: &Value, place: &str) -> String {
    let whole = match place.split_once('/') {
        Some(("", _)) => place.to_owned(),
        Some((resource, property)) => format!("/Resources/{resource}/Properties/{property}"),
        None => panic!("{place}: a property is named after its resource"),
    };
    whole.split('/').skip(1).fold(String::new(), |at, part| {
        let items = root.pointer(&at).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let named = items.iter().enumerate().find_map(|(index, item)| match item {
            item if item["Name"] == part => Some(index.to_string()),
            item if item["Fn::If"][1]["Name"] == part => Some(format!("{index}/Fn::If/1")),
            _ => None,
        });
        format!("{at}/{}", named.as_deref().unwrap_or(part))
    })
}

impl Mutant {
    fn apply(&self, root: &mut Value) {
        for place in &self.remove {
            let pointer = pointer(root, place);
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let gone = match root.pointer_mut(parent).unwrap_or_else(|| panic!("{place} is not there")) {
                Value::Object(map) => map.remove(key),
                Value::Array(items) => Some(items.remove(key.parse().unwrap())),
                _ => None,
            };
            assert!(gone.is_some(), "{place} is not there");
        }
        for (place, value) in &self.set {
            let pointer = pointer(root, place);
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match root.pointer_mut(parent).unwrap_or_else(|| panic!("{place} has no parent")) {
                Value::Object(map) => {
                    map.insert(key.to_owned(), value.clone());
                }
                Value::Array(items) if key == "-" => items.push(value.clone()),
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
                _ => panic!("{place} is in no map and no list"),
            }
        }
        for Replace { at, from, to } in &self.replace {
            let pointer = pointer(root, at);
            let text = root.pointer_mut(&pointer).unwrap_or_else(|| panic!("{at} is not there"));
            let old = text.as_str().unwrap();
            assert!(old.contains(from), "{at} has no {from}");
            *text = Value::String(old.replace(from, to));
        }
    }

    /// Returns the rules that find it: at the defaults, or also at variants if its own rule does not find it there.
    fn found_by(&self) -> BTreeSet<&'static str> {
        let mut root = read(&self.file);
        self.apply(&mut root);
        let mutated = template(&self.file, &root);
        let beside = self.beside.iter().map(|file| Template::load(&folder().join(file)).unwrap());
        let templates: Vec<Template> = beside.chain([mutated]).collect();
        let rules = |findings: Vec<Finding>| findings.iter().map(|finding| finding.rule).collect();
        let found: BTreeSet<_> = rules(check_at_defaults(&templates, &options()));
        if found.contains(self.rule.as_str()) { found } else { rules(check(&templates, &options())) }
    }
}

#[test]
fn each_mutant_is_found_by_its_rule_alone() {
    let mut wrong = Vec::new();
    for mutant in mutants() {
        let found = mutant.found_by();
        if found != BTreeSet::from([mutant.rule.as_str()]) {
            wrong
                .push(format!("{} in {} ({}): found by {found:?}", mutant.rule, mutant.file, mutant.mistake));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_has_a_mutant() {
    let known: BTreeSet<String> = mutants().into_iter().map(|mutant| mutant.rule).collect();
    let without: Vec<&str> = rules().map(|rule| rule.id).filter(|id| !known.contains(*id)).collect();
    assert!(without.is_empty(), "no mutant for {without:?}");
}

/// Returns the folders or files in a folder of `infra`, by name.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The rules also check a queue and its worker in one stack.
#[test]
fn queue_and_worker_in_one_stack_break_no_rule() {
    for queue in ["queue.yaml", "queue-fifo.yaml"] {
        for worker in ["worker-lambda.yaml", "worker-fargate.yaml", "worker-ec2.yaml"] {
            let file = format!("{queue} + {worker}");
            let findings = check(&[template(&file, &read(&file))], &options());
            let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert!(findings.is_empty(), "{}", findings.join("\n"));
        }
    }
}

/// Checked together, so that their agreement is checked too.
#[test]
fn the_templates_and_modules_break_no_rule() {
    let files = [folder(), folder().join("../sam")];
    let files = files.iter().flat_map(|folder| listed(folder));
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut templates: Vec<Template> = files.map(|path| Template::load(&path).unwrap()).collect();
    let modules = listed(&folder().join("../terraform/modules"));
    templates.extend(modules.iter().map(|path| terraform::load(path).unwrap()));
    assert!(
        templates.len() >= 12,
        "seven templates, SAM's and four modules, and only {} are there",
        templates.len()
    );
    let findings: Vec<String> = check(&templates, &options()).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Collects pointers to everything in a value; a reference counts as one.
fn everything(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map)
            if map.len() == 1 && map.keys().all(|key| key == "Ref" || key.starts_with("Fn::")) => {}
        Value::Object(map) => {
            map.iter()
                .for_each(|(key, inner)| everything(inner, &format!("{at}/{}", yaml::escape(key)), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, inner)| everything(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// If a property is another stack's export, rules report nothing about it, with two exceptions: the DLQ must be in the stack,
/// and unused parts are unused. Checked only at the defaults, which is a fraction of the work.
#[test]
fn what_only_a_deployment_knows_breaks_no_rule() {
    let certain = BTreeSet::from(["Q02", "T03"]);
    let mut wrong = Vec::new();
    for file in ["queue-fifo.yaml", "worker-fargate.yaml", "worker-lambda.yaml"] {
        let root = read(file);
        for (id, resource) in root["Resources"].as_object().unwrap() {
            let mut places = Vec::new();
            everything(&resource["Properties"], "", &mut places);
            // Not all properties at once can be exports.
            for place in places.iter().filter(|place| !place.is_empty()) {
                let mut with = root.clone();
                *with["Resources"][id]["Properties"].pointer_mut(place).unwrap() =
                    json!({ "Fn::ImportValue": "other" });
                let template = template(file, &with);
                let findings = check_at_defaults(&[template], &options());
                let findings = findings.iter().filter(|finding| !certain.contains(finding.rule));
                wrong.extend(
                    findings
                        .map(|finding| format!("{file} {id}{place}: {} {}", finding.rule, finding.problem)),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
