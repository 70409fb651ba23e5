//! The data source `aws_iam_policy_document`: a policy written as blocks. See
//! [its page](https://registry.terraform.io/providers/hashicorp/aws/latest/docs/data-sources/iam_policy_document).

use hcl::Body;

use super::evaluate::Evaluator;
use super::evaluated::Evaluated;
use super::module::attribute;
use crate::value::plain;

/// The parts of a statement, with their names in the policy.
const STATEMENT: [(&str, &str); 6] = [
    ("sid", "Sid"),
    ("effect", "Effect"),
    ("actions", "Action"),
    ("not_actions", "NotAction"),
    ("resources", "Resource"),
    ("not_resources", "NotResource"),
];

/// Returns the policy as an object. Source and override documents are followed only if they are policies of this module,
/// because only then their text is known.
pub(super) fn evaluate(evaluator: &Evaluator<'_>, body: &Body) -> Evaluated {
    let mut statements = Vec::new();
    for taken_over in ["source_policy_documents", "override_policy_documents"] {
        let documents = attribute(body, taken_over).map(|documents| evaluator.evaluate(documents));
        for document in documents.iter().flat_map(Evaluated::items) {
            let parsed = document.parsed();
            match parsed.get("Statement") {
                Some(taken) => statements.extend(taken.items()),
                None => statements.push(Evaluated::unknown("statement", &[document])),
            }
        }
    }
    for block in body.blocks().filter(|block| block.identifier() == "statement") {
        statements.push(statement(evaluator, &block.body));
    }
    let version = attribute(body, "version").map(|version| evaluator.evaluate(version));
    Evaluated::object([
        ("Version".to_owned(), version.unwrap_or_else(|| Evaluated::known("2012-10-17"))),
        ("Statement".to_owned(), Evaluated::array(statements)),
    ])
}

fn statement(evaluator: &Evaluator<'_>, body: &Body) -> Evaluated {
    let mut statement = Evaluated::object([("Effect".to_owned(), Evaluated::known("Allow"))]);
    for (attribute_name, name) in STATEMENT {
        if let Some(expression) = attribute(body, attribute_name) {
            statement.put(name, &evaluator.evaluate(expression));
        }
    }
    for (kind, name) in [("principals", "Principal"), ("not_principals", "NotPrincipal")] {
        for block in body.blocks().filter(|block| block.identifier() == kind) {
            statement.put(name, &principals(evaluator, &block.body));
        }
    }
    for block in body.blocks().filter(|block| block.identifier() == "condition") {
        let part = |name: &str| {
            attribute(&block.body, name).map(|part| evaluator.evaluate(part)).unwrap_or_default()
        };
        let (test, variable) = (plain(&part("test").value), plain(&part("variable").value));
        let about = Evaluated::object([(variable, part("values"))]);
        statement.put("Condition", &Evaluated::object([(test, about)]));
    }
    statement
}

/// Returns the principals. `*` stands for all.
fn principals(evaluator: &Evaluator<'_>, body: &Body) -> Evaluated {
    let part = |name: &str| attribute(body, name).map(|part| evaluator.evaluate(part)).unwrap_or_default();
    let (kind, identifiers) = (plain(&part("type").value), part("identifiers"));
    if kind == "*" { Evaluated::known("*") } else { Evaluated::object([(kind, identifiers)]) }
}
