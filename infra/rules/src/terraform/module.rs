//! Splits a module's files into blocks by their kind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hcl::{Block, Body, Expression};

use crate::source::TemplateError;

/// The declarations of a module.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Its folder.
    pub(super) name: String,
    pub(super) variables: BTreeMap<String, Body>,
    pub(super) locals: BTreeMap<String, Expression>,
    /// Resources by `type.name`.
    pub(super) resources: BTreeMap<String, Body>,
    /// Data sources by `type.name`.
    pub(super) data: BTreeMap<String, Body>,
    pub(super) outputs: BTreeMap<String, Body>,
    /// The other modules that it uses.
    pub(super) uses: BTreeMap<String, Use>,
    /// Providers, read for their references.
    pub(super) providers: Vec<Body>,
}

/// The use of another module.
#[derive(Debug)]
pub(super) struct Use {
    /// The block, including the values of the module's variables.
    pub(super) block: Body,
    /// The module, if it is in a sibling folder or a subfolder.
    pub(super) module: Option<Module>,
}

/// The maximum depth of modules that use each other. Terraform recommends one level.
const MAX_DEPTH: usize = 4;

/// A file of a module: its name and its text.
pub(super) type File = (String, String);

/// Reads the files of a module's folder. Subfolders belong to other modules.
fn read(folder: &Path) -> Result<Vec<File>, TemplateError> {
    let unreadable = |path: &Path, source| TemplateError::Unreadable { path: path.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut paths = Vec::<PathBuf>::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "tf") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| match fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(error) => Err(unreadable(&path, error)),
        })
        .collect()
}

impl Module {
    /// Reads a module, and the modules that it uses.
    pub(super) fn load(folder: &Path) -> Result<Self, TemplateError> {
        Self::load_at(folder, 0)
    }

    fn load_at(folder: &Path, depth: usize) -> Result<Self, TemplateError> {
        let mut module = Self::parse(&folder.display().to_string(), &read(folder)?)?;
        for used in module.uses.values_mut() {
            let source = attribute(&used.block, "source");
            if let Some(Expression::String(source)) = source
                && (source.starts_with("./") || source.starts_with("../"))
                && depth < MAX_DEPTH
            {
                used.module = Some(Self::load_at(&folder.join(source), depth + 1)?);
            }
        }
        Ok(module)
    }

    pub(super) fn parse(name: &str, files: &[File]) -> Result<Self, TemplateError> {
        let malformed =
            |file: &str, problem: String| TemplateError::Malformed { file: file.to_owned(), problem };
        if files.is_empty() {
            return Err(malformed(name, "it has no files that end in .tf".to_owned()));
        }
        let mut module = Self { name: name.to_owned(), ..Self::default() };
        for (file, text) in files {
            let body = hcl::parse(text).map_err(|error| malformed(file, error.to_string()))?;
            for block in body.into_blocks() {
                module.add(block);
            }
        }
        Ok(module)
    }

    fn add(&mut self, block: Block) {
        let labels: Vec<&str> = block.labels.iter().map(hcl::BlockLabel::as_str).collect();
        let name = labels.join(".");
        match (block.identifier.as_str(), labels.len()) {
            ("variable", 1) => drop(self.variables.insert(name, block.body)),
            ("output", 1) => drop(self.outputs.insert(name, block.body)),
            ("resource", 2) => drop(self.resources.insert(name, block.body)),
            ("data", 2) => drop(self.data.insert(name, block.body)),
            ("locals", 0) => {
                let locals = block.body.into_attributes();
                self.locals.extend(locals.map(|local| (local.key.to_string(), local.expr)));
            }
            ("provider", 1) => self.providers.push(block.body),
            ("module", 1) => drop(self.uses.insert(name, Use { block: block.body, module: None })),
            _ => {}
        }
    }
}

/// Returns an attribute of a block.
pub(super) fn attribute<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|attribute| attribute.key() == name).map(|attribute| &attribute.expr)
}

/// Returns the first block of a kind within a block.
pub(super) fn block<'a>(body: &'a Body, kind: &str) -> Option<&'a Body> {
    body.blocks().find(|block| block.identifier() == kind).map(|block| &block.body)
}
