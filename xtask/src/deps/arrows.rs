//! Checks the dependencies between the source files of a crate: no cycles, none against the order of the handler's parts, and
//! none out of a folder of decisions.
//!
//! A file depends on another if one of its paths leads there, such as `crate::message::Message`. Imports are followed to the
//! file that defines the name, so a file that only re-exports names is in no cycle. Tests do not count.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use cargo_metadata::Metadata;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use xtask::project;

/// The parts of the handler crate. Each may depend on those before it.
const PARTS: [&str; 5] = ["message", "core", "api", "run", "testing"];

/// Folders whose files may depend on no other file of their crate: decisions, which are independent of the code that performs
/// them.
const CLOSED: [&str; 1] = ["timetable/src/core/"];

/// The largest number of chained imports that are followed.
const MAX_IMPORTS: u8 = 16;

/// The files of a cycle, each with the files of the cycle on which it depends.
type Circle<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The path of a module from the crate's root.
type ModulePath = Vec<String>;

/// A module and its references to others.
#[derive(Default)]
struct Module {
    file: String,
    imports: HashMap<String, Vec<String>>,
    paths: BTreeSet<Vec<String>>,
}

/// Returns one line for each wrong dependency, and a few for each cycle.
pub(crate) fn violations(metadata: &Metadata) -> Result<Vec<String>> {
    let mut arrows = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.with_file_name("src");
        // The examples are single files that depend on no other.
        if !folder.exists() {
            continue;
        }
        let mut files = Vec::new();
        read(folder.as_std_path(), &mut files)?;
        arrows.extend(arrows_of(folder.strip_prefix(project::root())?.as_str(), &files)?);
    }
    let mut found: Vec<String> = arrows
        .iter()
        .filter(|arrow| runs_up(arrow))
        .map(|(from, to)| {
            format!(
                "{from} knows {to}: the handler's parts know each other in the order {}",
                PARTS.join(", ")
            )
        })
        .collect();
    found.extend(
        arrows
            .iter()
            .filter(|arrow| leaves(arrow))
            .map(|(from, to)| format!("{from} knows {to}: what decides knows nothing of what performs it")),
    );
    found.extend(circles(&arrows).iter().map(show));
    Ok(found)
}

/// Reads the sources below a folder, except tests and binaries.
fn read(folder: &Path, files: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "bin" {
                read(&path, files)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
            files.push((
                path.strip_prefix(project::root())?.display().to_string(),
                fs::read_to_string(&path)?,
            ));
        }
    }
    Ok(())
}

/// Returns the dependencies between the files of the crate whose sources are in `folder`.
fn arrows_of(folder: &str, files: &[(String, String)]) -> Result<BTreeSet<(String, String)>> {
    let mut modules = HashMap::new();
    let has_library = files.iter().any(|(file, _)| *file == format!("{folder}/lib.rs"));
    for (file, text) in files {
        let path = file.trim_start_matches(folder).trim_start_matches('/').trim_end_matches(".rs");
        let path = match path {
            // A binary beside its library is a separate crate.
            "main" if has_library => continue,
            "lib" | "main" => "",
            path => path.strip_suffix("/mod").unwrap_or(path),
        };
        let path: ModulePath = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let tokens = text.parse().map_err(|error| anyhow!("{file} is no Rust: {error}"))?;
        scan(file, &path, tokens, &mut modules);
    }
    let mut arrows = BTreeSet::new();
    for (path, module) in &modules {
        let targets = module.paths.iter().filter_map(|names| target(&modules, path, names, 0));
        let targets = targets.filter(|target| *target != module.file);
        arrows.extend(targets.map(|target| (module.file.clone(), target.to_owned())));
    }
    Ok(arrows)
}

/// Adds a module of a file with its inner modules.
fn scan(file: &str, path: &[String], tokens: TokenStream, modules: &mut HashMap<ModulePath, Module>) {
    let module = modules.entry(path.to_vec()).or_default();
    file.clone_into(&mut module.file);
    let mut inner = Vec::new();
    collect(tokens, module, &mut inner);
    for (name, tokens) in inner {
        scan(file, &[path, &[name]].concat(), tokens, modules);
    }
}

/// Collects the paths, the imports and the inline modules among these tokens.
fn collect(tokens: TokenStream, module: &mut Module, inner: &mut Vec<(String, TokenStream)>) {
    let mut rest = tokens.into_iter();
    let mut names: Vec<String> = Vec::new();
    let mut colons = 0;
    while let Some(token) = rest.next() {
        let follows = std::mem::take(&mut colons);
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons = follows + 1,
            TokenTree::Ident(name) if follows == 2 && !names.is_empty() => names.push(name.to_string()),
            TokenTree::Ident(name) if name == "use" => {
                let tree: Vec<TokenTree> = rest.by_ref().take_while(|token| !is_punct(token, ';')).collect();
                import(&[], &tree, module);
            }
            TokenTree::Ident(name) if name == "mod" => {
                let (name, body) = (rest.next(), rest.next());
                if let (Some(name), Some(TokenTree::Group(body))) = (name, body) {
                    inner.push((name.to_string(), body.stream()));
                }
            }
            TokenTree::Ident(name) => {
                keep(&mut names, module);
                // After two colons without a name before them, the name belongs to another crate.
                if follows != 2 {
                    names.push(name.to_string());
                }
            }
            // The path in `pub(in crate::part)` is not a use.
            TokenTree::Group(_) if names.last().is_some_and(|name| name == "pub") => names.clear(),
            TokenTree::Group(group) => {
                keep(&mut names, module);
                if is_test(&group) {
                    let ends = |token: &TokenTree| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        token => is_punct(token, ';'),
                    };
                    rest.by_ref().find(ends);
                } else {
                    collect(group.stream(), module, inner);
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => keep(&mut names, module),
        }
    }
    keep(&mut names, module);
}

/// Records a complete path; a single name is not a path.
fn keep(names: &mut Vec<String>, module: &mut Module) {
    let path = std::mem::take(names);
    if path.len() > 1 {
        module.paths.insert(path);
    }
}

/// Records the target of an import, and the names that it defines.
fn import(before: &[String], tree: &[TokenTree], module: &mut Module) {
    let mut path = before.to_vec();
    let mut tokens = tree.iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) if name == "as" => {
                let name = tokens.next().map(ToString::to_string).unwrap_or_default();
                module.paths.insert(path.clone());
                module.imports.insert(name, path);
                return;
            }
            TokenTree::Ident(name) if name == "self" && !path.is_empty() => {}
            TokenTree::Ident(name) => path.push(name.to_string()),
            TokenTree::Group(group) => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                return tokens
                    .split(|token| is_punct(token, ','))
                    // No name follows a trailing comma.
                    .filter(|tree| !tree.is_empty())
                    .for_each(|tree| import(&path, tree, module));
            }
            token if is_punct(token, '*') => {
                module.paths.insert(path);
                return;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    if let Some(name) = path.last().cloned() {
        module.paths.insert(path.clone());
        module.imports.insert(name, path);
    }
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

/// Returns true for the content of `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_test(group: &proc_macro2::Group) -> bool {
    let text = group.stream().to_string().replace(' ', "");
    group.delimiter() == Delimiter::Bracket && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// Returns the file to which a path leads; `None` if it belongs to another crate.
fn target<'a>(
    modules: &'a HashMap<ModulePath, Module>,
    from: &ModulePath,
    path: &[String],
    imports: u8,
) -> Option<&'a str> {
    let mut at = from.clone();
    let mut names = path;
    let first = names.first()?.as_str();
    match first {
        "crate" => at.clear(),
        "self" => {}
        "super" => drop(at.pop()),
        first => {
            let is_child = modules.contains_key(&[at.as_slice(), &[first.to_owned()]].concat());
            if !is_child && modules.get(&at)?.imports.get(first).is_none_or(|path| path[0] == first) {
                return None;
            }
        }
    }
    if matches!(first, "crate" | "self" | "super") {
        names = &names[1..];
    }
    while let Some((name, rest)) = names.split_first() {
        let module = modules.get(&at)?;
        if name == "super" {
            at.pop();
        } else if modules.contains_key(&[at.as_slice(), std::slice::from_ref(name)].concat()) {
            at.push(name.clone());
        } else if let Some(path) = module.imports.get(name).filter(|_| imports < MAX_IMPORTS) {
            let path = [path, rest].concat();
            return target(modules, &at, &path, imports + 1);
        } else {
            return Some(&module.file);
        }
        names = rest;
    }
    Some(&modules.get(&at)?.file)
}

/// Returns true for a dependency against the order of the handler's parts.
fn runs_up((from, to): &(String, String)) -> bool {
    let part = |file: &str| {
        let name = file.strip_prefix("handler/src/")?.split('/').next()?;
        PARTS.iter().position(|part| *part == name)
    };
    matches!((part(from), part(to)), (Some(from), Some(to)) if to > from)
}

/// Returns true if a dependency leads out of a closed folder.
fn leaves((from, to): &(String, String)) -> bool {
    CLOSED.iter().any(|folder| from.starts_with(folder) && !to.starts_with(folder.trim_end_matches('/')))
}

/// Returns the cycles among the dependencies.
fn circles(arrows: &BTreeSet<(String, String)>) -> Vec<Circle<'_>> {
    let graph: DiGraphMap<&str, ()> = arrows.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let circles = tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1);
    let mut found = Vec::new();
    for files in circles {
        let inside = |file| graph.neighbors(file).filter(|to| files.contains(to)).collect();
        found.push(files.iter().map(|file| (*file, inside(*file))).collect());
    }
    found
}

fn show(circle: &Circle<'_>) -> String {
    let arrows = circle.iter().map(|(from, to)| format!("\n  {from} -> {}", to.join(", ")));
    format!("a circle of {} files:{}", circle.len(), arrows.collect::<String>())
}

#[cfg(test)]
#[path = "arrows_tests.rs"]
mod tests;
