//! Resolves names: variables, locals, resources, data sources, and values that are known only after the deployment.

use hcl::Body;
use hcl::expr::TraversalOperator;

use super::evaluate::{Evaluator, Scope};
use super::evaluated::Evaluated;
use super::mapping::{cloudformation_type, name_attribute};
use super::module::attribute;
use super::operators::apply;
use super::policy_document;
use super::variables::camel_case;
use crate::model::{Target, queue_arn, table_arn};
use crate::value::plain;

/// The type of queues, whose ARN and URL are evaluated.
const QUEUE: &str = "aws_sqs_queue";

/// The type of tables, whose ARN is evaluated.
const TABLE: &str = "aws_dynamodb_table";

/// Policy documents written as blocks.
const POLICY_DOCUMENT: &str = "aws_iam_policy_document";

/// Data sources that CloudFormation has a pseudo parameter for.
const PSEUDO: [(&str, &[&str], &str); 4] = [
    ("aws_partition", &["partition", "id"], "AWS::Partition"),
    ("aws_partition", &["dns_suffix"], "AWS::URLSuffix"),
    // Version 6 of the provider has renamed `name` to `region`.
    ("aws_region", &["region", "name", "id"], "AWS::Region"),
    ("aws_caller_identity", &["account_id", "id"], "AWS::AccountId"),
];

impl Evaluator<'_> {
    /// Resolves a name that is not in the scope, with its operators.
    pub(super) fn named(&self, root: &str, operators: &[TraversalOperator], scope: &Scope) -> Evaluated {
        let (found, rest) = match (root, operators) {
            ("var", [TraversalOperator::GetAttr(name), rest @ ..]) => (self.variable(name.as_str()), rest),
            ("local", [TraversalOperator::GetAttr(name), rest @ ..]) => (self.local(name.as_str()), rest),
            ("data", [TraversalOperator::GetAttr(kind), TraversalOperator::GetAttr(name), rest @ ..]) => {
                let (attribute, rest) = attribute_of(rest);
                (self.data(kind.as_str(), name.as_str(), attribute), rest)
            }
            ("module", [TraversalOperator::GetAttr(name), rest @ ..]) => match attribute_of(rest) {
                (Some(output), rest) => (self.output(name.as_str(), output), rest),
                (None, _) => return Evaluated::unknown(root, &[]),
            },
            ("each" | "count" | "path" | "terraform" | "self", _) => {
                return Evaluated::unknown(root, &[]);
            }
            // Other names belong to `dynamic` blocks.
            (kind, [TraversalOperator::GetAttr(name), rest @ ..]) if kind.starts_with("aws_") => {
                let (attribute, rest) = attribute_of(rest);
                (self.resource(kind, name.as_str(), attribute), rest)
            }
            _ => return Evaluated::unknown(root, &[]),
        };
        apply(found, rest, &|index| self.within(index, scope))
    }

    fn variable(&self, name: &str) -> Evaluated {
        let camel = camel_case(name);
        let target = Target::Parameter(camel.clone());
        if let Some((user, block)) = self.user
            && let Some(given) = attribute(block, name)
        {
            let given = user.nested(|| user.evaluate(given));
            return given.unwrap_or_else(|| Evaluated::unknown("circle", &[])).and_refers(target);
        }
        match self.parameters.get(&camel) {
            None => Evaluated::token(&camel, Target::Missing(format!("var.{name}"))),
            Some(parameter) => match &parameter.value {
                Some(value) => Evaluated::known(value.clone()).and_refers(target),
                None => Evaluated::token(&camel, target),
            },
        }
    }

    fn local(&self, name: &str) -> Evaluated {
        let Some(expression) = self.module.locals.get(name) else {
            return Evaluated::token(name, Target::Missing(format!("local.{name}")));
        };
        self.nested(|| self.evaluate(expression)).unwrap_or_else(|| Evaluated::unknown("circle", &[]))
    }

    fn data(&self, kind: &str, name: &str, attribute: Option<&str>) -> Evaluated {
        let asked = attribute.unwrap_or_default();
        let pseudo = PSEUDO.iter().find(|(of, attributes, _)| *of == kind && attributes.contains(&asked));
        if let Some((_, _, pseudo)) = pseudo {
            return Evaluated::token(pseudo, Target::Pseudo((*pseudo).to_owned()));
        }
        let Some(body) = self.module.data.get(&format!("{kind}.{name}")) else {
            return Evaluated::token(name, Target::Missing(format!("data.{kind}.{name}")));
        };
        match (kind, asked) {
            (POLICY_DOCUMENT, "json" | "minified_json") => self
                .nested(|| policy_document::evaluate(self, body).to_json())
                .unwrap_or_else(|| Evaluated::unknown("circle", &[])),
            _ => Evaluated::unknown(&format!("data.{kind}.{name}.{asked}"), &[]),
        }
    }

    /// Returns an output of a module that this one uses.
    fn output(&self, name: &str, output: &str) -> Evaluated {
        let missing = || Target::Missing(format!("module.{name}.{output}"));
        if !self.module.uses.contains_key(name) {
            return Evaluated::token(name, missing());
        }
        let Some(used) = self.used(name) else { return Evaluated::unknown("module", &[]) };
        let value = used.module.outputs.get(output).and_then(|output| attribute(output, "value"));
        let Some(value) = value else { return Evaluated::token(output, missing()) };
        self.nested(|| used.evaluate(value)).unwrap_or_else(|| Evaluated::unknown("circle", &[]))
    }

    fn resource(&self, kind: &str, name: &str, attribute: Option<&str>) -> Evaluated {
        let id = format!("{}{kind}.{name}", self.prefix);
        let Some(body) = self.module.resources.get(&format!("{kind}.{name}")) else {
            return Evaluated::token(&id, Target::Missing(id.clone()));
        };
        let refers = |attribute: Option<String>| Target::Resource { id: id.clone(), attribute };
        let named = || self.attribute_value(body, name_attribute(kind)?);
        match (kind, attribute) {
            (QUEUE, Some("arn")) => {
                let arn =
                    named().map_or_else(|| format!("${{{id}.Arn}}"), |name| queue_arn(&plain(&name.value)));
                Evaluated::known(arn).and_refers(refers(Some("Arn".to_owned())))
            }
            (TABLE, Some("arn")) => {
                let arn =
                    named().map_or_else(|| format!("${{{id}.Arn}}"), |name| table_arn(&plain(&name.value)));
                Evaluated::known(arn).and_refers(refers(Some("Arn".to_owned())))
            }
            (QUEUE, Some("id" | "url")) => Evaluated::token(&id, refers(None)),
            (_, None) => Evaluated::unknown(&id, &[]).and_refers(refers(None)),
            (_, Some(asked)) => {
                // Attributes written in the resource are known without a request to AWS. For most types the name is also the
                // ID.
                let is_name = asked == "id" && cloudformation_type(kind).is_some();
                let written = if is_name { named() } else { self.attribute_value(body, asked) };
                let attribute = if asked == "id" { None } else { Some(camel_case(asked)) };
                let token =
                    attribute.as_ref().map_or_else(|| id.clone(), |attribute| format!("{id}.{attribute}"));
                written.map_or_else(
                    || Evaluated::token(&token, refers(attribute.clone())),
                    |written| {
                        let to = refers(attribute.clone());
                        Evaluated::known(written.value.clone()).and_refers(to).and_made_of(&[written])
                    },
                )
            }
        }
    }

    /// Returns the value of an attribute that is written in a block.
    fn attribute_value(&self, body: &Body, name: &str) -> Option<Evaluated> {
        let expression = attribute(body, name)?;
        self.nested(|| self.evaluate(expression)).filter(|value| !value.is_null())
    }
}

/// Returns the attribute of a resource that the operators select, for any of its instances, and the remaining operators.
fn attribute_of(operators: &[TraversalOperator]) -> (Option<&str>, &[TraversalOperator]) {
    let of_one = match operators {
        [TraversalOperator::Index(_) | TraversalOperator::LegacyIndex(_), rest @ ..] => rest,
        all => all,
    };
    match of_one {
        [TraversalOperator::GetAttr(name), rest @ ..] => (Some(name.as_str()), rest),
        _ => (None, &[]),
    }
}
