//! The rules' view of a stack, independent of the template's language.
//!
//! Values are plain JSON with every reference resolved as far as the parameters' values allow. A value that is known only after
//! the deployment stays in the text as a token:
//!
//! | token | is |
//! |---|---|
//! | `${Name}` | a parameter without a value, or what CloudFormation's `Ref` gives for a resource (a queue's URL) |
//! | `${Name.Attribute}` | an attribute of a resource, such as `${Role.Arn}` |
//! | `${AWS::Region}` | a pseudo parameter: `Partition`, `Region`, `AccountId`, `URLSuffix`, `StackName` |
//! | `${Fn::…}` | a part that cannot be evaluated |
//!
//! So two values with the same text are equal. A queue's ARN is always [`queue_arn`] of its name if the name is known, whether
//! a template refers to the resource or builds the ARN.

use std::collections::BTreeMap;

use serde_json::Value;

/// The resources that a template or a module deploys, for one choice of its parameters' values.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// The file, or the module's folder.
    pub file: String,
    /// The language it was written in.
    pub dialect: Dialect,
    /// The template's description.
    pub description: String,
    /// Parameters by name, in `CamelCase` in every dialect: Terraform's `max_tasks` is `MaxTasks`.
    pub parameters: BTreeMap<String, Parameter>,
    /// Resources by logical ID. Those whose condition is known to be false are left out.
    pub resources: BTreeMap<String, Resource>,
    /// Outputs by name, in `CamelCase`.
    pub outputs: BTreeMap<String, Output>,
    /// References from conditions, rules and locals: outside resources and outputs.
    pub references: Vec<Reference>,
    /// Logical IDs of all resources, including those under a false condition.
    pub declared: Vec<String>,
    /// Lines on which a linter is configured to ignore a problem.
    pub lint_ignores: Vec<usize>,
}

/// The language of a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// CloudFormation or SAM, in YAML or JSON.
    #[default]
    CloudFormation,
    /// A Terraform module. Its separate resources for redrive, redrive-allow and queue policies are merged or mapped to those
    /// of CloudFormation.
    Terraform,
}

/// A parameter, or a module's input variable.
#[derive(Debug, Clone, Default)]
pub struct Parameter {
    /// `String`, `Number`, `CommaDelimitedList`, or another CloudFormation type.
    pub kind: String,
    /// The default value.
    pub default: Option<Value>,
    /// The value in this stack: the chosen one, or the default.
    pub value: Option<Value>,
    /// The minimum.
    pub min: Option<f64>,
    /// The maximum.
    pub max: Option<f64>,
    /// All allowed values, if they are listed.
    pub allowed: Vec<Value>,
    /// The pattern that a text must match.
    pub pattern: Option<String>,
    /// The maximum length of a text.
    pub max_length: Option<u64>,
    /// The description.
    pub description: String,
    /// The line of the declaration.
    pub line: Option<usize>,
}

impl Parameter {
    /// Returns true if a deployment may set it to this text. False for a pattern that is not supported here, such as one with
    /// look-around.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let fits = |pattern: &String| {
            crate::value::whole_match(pattern).is_some_and(|pattern| pattern.is_match(text))
        };
        self.kind == "String" && self.allowed.is_empty() && self.pattern.as_ref().is_none_or(fits)
    }
}

/// A resource with CloudFormation's type and property names.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// The type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// The properties, an object with references resolved. A property set to no value is left out.
    pub properties: Value,
    /// The references in the properties.
    pub references: Vec<Reference>,
    /// The resources in `DependsOn`.
    pub depends_on: Vec<String>,
    /// `Delete` or `Retain` and so on; Terraform's `prevent_destroy` is `Retain`.
    pub deletion_policy: Option<String>,
    /// The same for a replacement. Terraform's `prevent_destroy` is `Retain` here too.
    pub update_replace_policy: Option<String>,
    /// The metadata for tools and readers.
    pub metadata: Value,
    /// Lines, by pointer into the properties. The empty pointer is the resource.
    pub lines: BTreeMap<String, usize>,
}

/// An output.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The value, with references resolved.
    pub value: Value,
    /// The description.
    pub description: String,
    /// The references in the value.
    pub references: Vec<Reference>,
}

/// A reference from one place to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The place, as a JSON pointer into the resolved properties (or the output's value).
    pub at: String,
    /// The target.
    pub to: Target,
}

/// The target of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A parameter.
    Parameter(String),
    /// A resource as a whole (`Ref`), or an attribute of it.
    Resource {
        /// The resource's logical ID.
        id: String,
        /// The attribute.
        attribute: Option<String>,
    },
    /// A pseudo parameter such as `AWS::Region`.
    Pseudo(String),
    /// Another stack's export.
    Import,
    /// A name that does not exist.
    Missing(String),
}

/// Returns the ARN of a queue in this stack's account and region, by its name.
pub fn queue_arn(name: &str) -> String {
    format!("arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{name}")
}

/// Returns the ARN of a DynamoDB table in this stack's account and region, by its name.
pub fn table_arn(name: &str) -> String {
    format!("arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{name}")
}

impl Stack {
    /// Returns the resources of a type, with their IDs.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Resource)> {
        let of_kind = move |(_, resource): &(&String, &Resource)| resource.kind == kind;
        self.resources.iter().filter(of_kind).map(|(id, resource)| (id.as_str(), resource))
    }
}

impl Resource {
    /// Returns a property, by its JSON pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.properties.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Returns a property that is a text, including tokens.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// Returns the line of a property, or of the nearest value around it.
    pub fn line(&self, pointer: &str) -> Option<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return Some(*line);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// Returns the targets of the references at or below a property.
    pub fn references_at<'a>(&'a self, pointer: &'a str) -> impl Iterator<Item = &'a Target> {
        let below = move |at: &str| {
            at.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.references.iter().filter(move |reference| below(&reference.at)).map(|reference| &reference.to)
    }

    /// Returns the targets of the references at a property, below it, and in the values around it.
    pub fn references_around<'a>(&'a self, pointer: &'a str) -> impl Iterator<Item = &'a Target> {
        let above = move |at: &str| pointer.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'));
        let above = self.references.iter().filter(move |reference| above(&reference.at));
        self.references_at(pointer).chain(above.map(|reference| &reference.to))
    }

    /// Returns true if a property refers to this resource.
    pub fn refers_to(&self, pointer: &str, resource: &str) -> bool {
        self.references_at(pointer).any(|to| matches!(to, Target::Resource { id, .. } if id == resource))
    }
}
