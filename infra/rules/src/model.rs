//! What rules look at: a stack, whatever language it was written in.
//!
//! Values are plain JSON with every reference resolved as far as the parameters' values allow. What only a deployment
//! knows stays in the text as a token:
//!
//! | token | is |
//! |---|---|
//! | `${Name}` | a parameter without a value, or what CloudFormation's `Ref` gives for a resource (a queue's URL) |
//! | `${Name.Attribute}` | an attribute of a resource, such as `${Role.Arn}` |
//! | `${AWS::Region}` | a pseudo parameter: `Partition`, `Region`, `AccountId`, `URLSuffix`, `StackName` |
//! | `${Fn::…}` | what cannot be worked out at all |
//!
//! So two values that are the same text are the same. A queue's ARN is always [`queue_arn`] of its name where that is
//! known, whether a template refers to the resource or builds the ARN.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a template or a module deploys, at one choice of its parameters' values.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// The file, or the module's folder.
    pub file: String,
    /// The language it was written in.
    pub dialect: Dialect,
    /// What the template says about itself.
    pub description: String,
    /// By name, in `CamelCase` in every dialect: Terraform's `max_tasks` is `MaxTasks`.
    pub parameters: BTreeMap<String, Parameter>,
    /// By logical id. Those whose condition is known to be false are left out.
    pub resources: BTreeMap<String, Resource>,
    /// By name, in `CamelCase`.
    pub outputs: BTreeMap<String, Output>,
    /// References from conditions, rules, locals: neither in a resource nor in an output.
    pub references: Vec<Reference>,
    /// Logical ids of all resources, those under a false condition too.
    pub declared: Vec<String>,
    /// Lines on which a linter is told to look away.
    pub lint_ignores: Vec<usize>,
}

/// The language of a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// CloudFormation or SAM, in YAML or JSON.
    #[default]
    CloudFormation,
    /// A Terraform module. Its separate redrive, redrive-allow and queue policy resources are merged or mapped to what
    /// CloudFormation has.
    Terraform,
}

/// A parameter, or a module's input variable.
#[derive(Debug, Clone, Default)]
pub struct Parameter {
    /// `String`, `Number`, `CommaDelimitedList`, or another type as CloudFormation names it.
    pub kind: String,
    /// What it is without a choice.
    pub default: Option<Value>,
    /// What it is in this stack: what was chosen, or the default.
    pub value: Option<Value>,
    /// The least number allowed.
    pub min: Option<f64>,
    /// The greatest number allowed.
    pub max: Option<f64>,
    /// All values allowed, where they are listed.
    pub allowed: Vec<Value>,
    /// The pattern that a text has to match.
    pub pattern: Option<String>,
    /// The greatest length of a text.
    pub max_length: Option<u64>,
    /// What it is for.
    pub description: String,
    /// Where it is declared.
    pub line: Option<usize>,
}

impl Parameter {
    /// Returns true if a deployment may set it to this text. False for a pattern that is not understood here, such as one with
    /// look-around.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let fits = |pattern: &String| {
            crate::value::whole_match(pattern).is_some_and(|pattern| pattern.is_match(text))
        };
        self.kind == "String" && self.allowed.is_empty() && self.pattern.as_ref().is_none_or(fits)
    }
}

/// A resource under CloudFormation's type and property names.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// Such as `AWS::SQS::Queue`.
    pub kind: String,
    /// With references resolved; an object. A property set to no value is left out.
    pub properties: Value,
    /// Where the properties refer to other things.
    pub references: Vec<Reference>,
    /// Resources it is told to wait for.
    pub depends_on: Vec<String>,
    /// `Delete` or `Retain` and so on; Terraform's `prevent_destroy` is `Retain`.
    pub deletion_policy: Option<String>,
    /// The same for a replacement; Terraform's `prevent_destroy` is `Retain` here too.
    pub update_replace_policy: Option<String>,
    /// What the template says about it for tools and readers.
    pub metadata: Value,
    /// Lines by pointer into the properties; the empty pointer is the resource.
    pub lines: BTreeMap<String, usize>,
}

/// An output.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// With references resolved.
    pub value: Value,
    /// What it is for.
    pub description: String,
    /// What it refers to.
    pub references: Vec<Reference>,
}

/// That something refers to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where, as a JSON pointer into the properties (or the output's value) as they are once resolved.
    pub at: String,
    /// What to.
    pub to: Target,
}

/// What a reference is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A parameter.
    Parameter(String),
    /// A resource: the whole of it (`Ref`), or an attribute.
    Resource {
        /// Its logical id.
        id: String,
        /// The attribute.
        attribute: Option<String>,
    },
    /// `AWS::Region` and the like.
    Pseudo(String),
    /// Another stack's export.
    Import,
    /// A name that nothing has.
    Missing(String),
}

/// The ARN of a queue of this stack's account and region, by its name.
pub fn queue_arn(name: &str) -> String {
    format!("arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{name}")
}

/// The ARN of a DynamoDB table of this stack's account and region, by its name.
pub fn table_arn(name: &str) -> String {
    format!("arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{name}")
}

impl Stack {
    /// The resources of a type, with their ids.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Resource)> {
        let of_kind = move |(_, resource): &(&String, &Resource)| resource.kind == kind;
        self.resources.iter().filter(of_kind).map(|(id, resource)| (id.as_str(), resource))
    }
}

impl Resource {
    /// A property, by its JSON pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.properties.pointer(pointer).filter(|value| !value.is_null())
    }

    /// A property that is a text, tokens and all.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// The line of a property, or of what is around it.
    pub fn line(&self, pointer: &str) -> Option<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return Some(*line);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// What is referred to at or below a property.
    pub fn references_at<'a>(&'a self, pointer: &'a str) -> impl Iterator<Item = &'a Target> {
        let below = move |at: &str| {
            at.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.references.iter().filter(move |reference| below(&reference.at)).map(|reference| &reference.to)
    }

    /// The targets of the references at a property, below it, and at what it is a part of.
    pub fn references_around<'a>(&'a self, pointer: &'a str) -> impl Iterator<Item = &'a Target> {
        let above = move |at: &str| pointer.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'));
        let above = self.references.iter().filter(move |reference| above(&reference.at));
        self.references_at(pointer).chain(above.map(|reference| &reference.to))
    }

    /// Whether a property refers to that resource.
    pub fn refers_to(&self, pointer: &str, resource: &str) -> bool {
        self.references_at(pointer).any(|to| matches!(to, Target::Resource { id, .. } if id == resource))
    }
}
