//! Tests that the commands of `infra/README.md` and of the runbook name existing templates, parameters and outputs.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drumline_infra_rules::model::{Parameter, Stack};
use drumline_infra_rules::{Template, whole_match};
use serde_json::Value;

/// The maximum number of commands of a walk-through.
const MOST_COMMANDS: usize = 12;

/// Variables that the reader sets, as described beside the commands.
const GIVEN: [&str; 8] = ["APPLICATION", "BUCKET", "COUNT", "HOME", "ID", "OPERATORS", "PRODUCERS", "REASON"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// A heading, and the commands below it until the next one.
struct Section {
    heading: String,
    commands: Vec<String>,
}

/// The sections of a document in Markdown.
fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { heading: String::new(), commands: Vec::new() }];
    let (mut in_shell, mut continued) = (false, false);
    for line in text.lines() {
        let section = sections.last_mut().unwrap();
        match line.strip_prefix("```") {
            Some(kind) => in_shell = kind == "sh",
            None if in_shell && (line.trim().is_empty() || line.starts_with('#')) => {}
            None if in_shell => {
                let part = line.strip_suffix('\\');
                if continued {
                    section.commands.last_mut().unwrap().push_str(part.unwrap_or(line).trim_start());
                } else {
                    section.commands.push(part.unwrap_or(line).to_owned());
                }
                continued = part.is_some();
            }
            None => {
                if let Some(heading) = line.strip_prefix('#') {
                    let heading = heading.trim_start_matches('#').trim().to_owned();
                    sections.push(Section { heading, commands: Vec::new() });
                }
            }
        }
    }
    sections
}

/// Returns the words of a command, separated outside quotes. Substitutions stay unchanged.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut depth) = (Vec::new(), String::new(), None, 0_usize);
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('$', Some('"') | None) if chars.peek() == Some(&'(') => {
                depth += 1;
                word.push(c);
            }
            (')', _) if depth > 0 => {
                depth -= 1;
                word.push(c);
            }
            _ if depth > 0 => word.push(c),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// A deployment of a template.
struct Deploy {
    stack: String,
    template: String,
    capabilities: Option<String>,
    parameters: BTreeMap<String, String>,
}

fn deploy(command: &str) -> Option<Deploy> {
    let words = words(command);
    let is_deploy = words.windows(2).any(|pair| pair == ["cloudformation", "deploy"]);
    let after =
        |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1)).cloned();
    let overrides = words.iter().skip_while(|word| *word != "--parameter-overrides").skip(1);
    let overrides = overrides.take_while(|word| !word.starts_with("--"));
    let parameters = overrides.map(|word| {
        let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{word} in {command}"));
        (name.to_owned(), value.to_owned())
    });
    is_deploy.then(|| Deploy {
        stack: after("--stack-name").unwrap(),
        template: after("--template-file").unwrap(),
        capabilities: after("--capabilities"),
        parameters: parameters.collect(),
    })
}

fn load(template: &str) -> Template {
    let name = template.strip_prefix("infra/cloudformation/").unwrap_or(template);
    Template::load(&root().join("infra/cloudformation").join(name)).unwrap()
}

/// Returns the stack that a deployment creates, as far as its values are known.
fn made(deploy: &Deploy) -> Stack {
    let known = deploy.parameters.iter().filter(|(_, value)| !value.contains('$'));
    load(&deploy.template)
        .stack(&known.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

/// Returns the reason why CloudFormation would refuse a value.
fn problem(parameter: &Parameter, value: &str) -> Option<String> {
    let allowed: Vec<String> = parameter
        .allowed
        .iter()
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == value) {
        return Some(format!("{value} is none of {allowed:?}"));
    }
    // The pattern of a list applies to each item.
    let is_list = parameter.kind == "CommaDelimitedList";
    let parts: Vec<&str> = if is_list { value.split(',').collect() } else { vec![value] };
    if let Some(pattern) = &parameter.pattern
        && let Some(part) = parts.iter().find(|part| !whole_match(pattern).unwrap().is_match(part))
    {
        return Some(format!("{part} does not match {pattern}"));
    }
    let number = value.parse::<f64>().ok().filter(|_| parameter.kind == "Number");
    let number = number?;
    let is_within =
        parameter.min.is_none_or(|min| number >= min) && parameter.max.is_none_or(|max| number <= max);
    (!is_within).then(|| format!("{value} is out of bounds"))
}

fn expect_deployable(deploy: &Deploy) {
    let stack = made(deploy);
    for (name, value) in &deploy.parameters {
        let parameter = stack.parameters.get(name);
        let parameter = parameter.unwrap_or_else(|| panic!("{} has no parameter {name}", deploy.template));
        let problem = (!value.contains('$')).then(|| problem(parameter, value)).flatten();
        assert_eq!(problem, None, "{name} of {}", deploy.template);
    }
    let missing: Vec<&String> = stack
        .parameters
        .iter()
        .filter(|(name, parameter)| parameter.default.is_none() && !deploy.parameters.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    assert!(missing.is_empty(), "{} is deployed as {} without {missing:?}", deploy.template, deploy.stack);
    let makes_roles = stack.resources.values().any(|resource| resource.kind.starts_with("AWS::IAM::"));
    assert_eq!(
        deploy.capabilities.as_deref(),
        makes_roles.then_some("CAPABILITY_IAM"),
        "the capabilities of {}",
        deploy.template
    );
}

/// Returns the names of the variables that a command uses.
fn used(command: &str) -> impl Iterator<Item = &str> {
    let variable = regex_lite::Regex::new(r"\$\{?([A-Z][A-Z_0-9]*)").unwrap();
    let names: Vec<&str> =
        variable.captures_iter(command).map(|found| found.get(1).unwrap().as_str()).collect();
    names.into_iter()
}

/// Returns the stacks and outputs that a command reads.
fn asked(command: &str) -> Vec<(String, String)> {
    let call = regex_lite::Regex::new(r"\bout ([a-z0-9-]+) ([A-Za-z0-9]+)").unwrap();
    call.captures_iter(command).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

#[test]
fn deployments_name_parameters_that_exist_with_values_that_fit() {
    let mut count = 0;
    for command in sections(&read("infra/README.md")).iter().flat_map(|section| &section.commands) {
        if let Some(deploy) = deploy(command) {
            expect_deployable(&deploy);
            count += 1;
        }
    }
    assert!(count >= 10, "three walk-throughs, and only {count} deployments");
}

#[test]
fn outputs_that_are_asked_for_exist() {
    let readme = sections(&read("infra/README.md"));
    let mut stacks: BTreeMap<String, Vec<Stack>> = BTreeMap::new();
    for deploy in readme.iter().flat_map(|section| &section.commands).filter_map(|command| deploy(command)) {
        stacks.entry(deploy.stack.clone()).or_default().push(made(&deploy));
    }
    let runbook = sections(&read("docs/runbook.md"));
    let commands = readme.iter().chain(&runbook).flat_map(|section| &section.commands);
    let asked: BTreeSet<(String, String)> = commands.flat_map(|command| asked(command)).collect();
    assert!(asked.len() >= 10, "{asked:?}");
    for (stack, output) in asked {
        let made = stacks.get(&stack).unwrap_or_else(|| panic!("no command deploys {stack}"));
        // Workers of several kinds have the same stack name.
        assert!(
            made.iter().any(|stack| stack.outputs.contains_key(&output)),
            "{stack} has no output {output}"
        );
    }
}

#[test]
fn a_walk_through_is_short_and_sets_what_it_uses() {
    let sections = sections(&read("infra/README.md"));
    let walks: Vec<&Section> =
        sections.iter().filter(|section| section.heading.starts_with("Walk-through")).collect();
    assert_eq!(walks.len(), 3);
    for Section { heading, commands } in walks {
        assert!(commands.len() <= MOST_COMMANDS, "{heading} has {} commands", commands.len());
        assert!(commands.len() >= 8, "{heading} has {} commands", commands.len());
        let mut set: BTreeSet<&str> = GIVEN.into();
        for command in commands {
            for name in used(command) {
                assert!(set.contains(name), "{heading} uses {name} before it is set: {command}");
            }
            if let Some((name, _)) = command.split_once('=')
                && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            {
                set.insert(name);
            }
        }
    }
}

#[test]
fn the_shell_can_read_every_command() {
    for document in ["infra/README.md", "docs/runbook.md"] {
        for command in sections(&read(document)).iter().flat_map(|section| &section.commands) {
            // A loop is checked as a whole.
            if command.starts_with("for ") || command.starts_with("  ") || command == "done" {
                continue;
            }
            let mut shell = Command::new("sh");
            let status = shell.args(["-n", "-c", command]).stderr(Stdio::null()).status().unwrap();
            assert!(status.success(), "{document}: {command}");
        }
    }
}
