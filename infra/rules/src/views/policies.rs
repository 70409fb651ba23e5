//! Policy documents and the roles they are attached to.

use serde_json::Value;

use crate::model::{Resource, Stack, Target};
use crate::value::{is_token, is_unclear, one_or_many, texts};

/// A statement of a policy, and where it is.
#[derive(Clone)]
pub(crate) struct Statement<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// To the statement, in the resource's properties.
    pub(crate) pointer: String,
    value: &'a Value,
}

impl<'a> Statement<'a> {
    pub(crate) fn get(&self, key: &str) -> &'a Value {
        &self.value[key]
    }

    pub(crate) fn allows(&self) -> bool {
        self.value["Effect"] == "Allow"
    }

    pub(crate) fn denies(&self) -> bool {
        self.value["Effect"] == "Deny"
    }

    /// With their wildcards.
    pub(crate) fn actions(&self) -> Vec<&'a str> {
        texts(&self.value["Action"])
    }

    /// With their wildcards.
    pub(crate) fn resources(&self) -> Vec<&'a str> {
        texts(&self.value["Resource"])
    }

    /// Whether it is about everybody.
    pub(crate) fn is_for_anybody(&self) -> bool {
        let principal = &self.value["Principal"];
        texts(principal).contains(&"*") || texts(&principal["AWS"]).contains(&"*")
    }

    /// Whether it is about this action.
    pub(crate) fn has_action(&self, action: &str) -> bool {
        self.actions()
            .into_iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    }

    /// Whether it is about this resource.
    pub(crate) fn has_resource(&self, arn: &str) -> bool {
        self.resources().into_iter().any(|pattern| matches(pattern, arn))
    }

    /// The keys of its conditions, in lower case, with their values.
    pub(crate) fn conditions(&self) -> Vec<(String, Vec<String>)> {
        let operators = self.value["Condition"].as_object().into_iter().flatten();
        let keys = operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
        keys.map(|(key, value)| {
            let values = one_or_many(value).into_iter().map(crate::value::plain).collect();
            (key.to_ascii_lowercase(), values)
        })
        .collect()
    }
}

/// Whether a pattern with `*` and `?` matches a text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it stands for.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The statements of the document at a pointer.
fn statements<'a>(id: &'a str, resource: &'a Resource, document: &str) -> Vec<Statement<'a>> {
    let Some(statement) = resource.get(&format!("{document}/Statement")) else { return Vec::new() };
    one_or_many(statement)
        .into_iter()
        .enumerate()
        .filter(|(_, value)| value.is_object())
        .map(|(index, value)| {
            let index = if statement.is_array() { format!("/{index}") } else { String::new() };
            Statement { id, resource, pointer: format!("{document}/Statement{index}"), value }
        })
        .collect()
}

/// A policy of queues.
pub(crate) struct QueuePolicy<'a> {
    /// The queues it is attached to, as the template writes them.
    pub(crate) queues: Vec<&'a str>,
    pub(crate) statements: Vec<Statement<'a>>,
    /// Whether a part of it could not be worked out.
    pub(crate) is_unclear: bool,
}

/// The policies of queues.
pub(crate) fn queue_policies(stack: &Stack) -> Vec<QueuePolicy<'_>> {
    let kinds = [("AWS::SQS::QueuePolicy", "/Queues"), ("AWS::SQS::QueueInlinePolicy", "/Queue")];
    let policies =
        kinds.into_iter().flat_map(|(kind, at)| stack.of_kind(kind).map(move |policy| (policy, at)));
    policies
        .map(|((id, resource), at)| QueuePolicy {
            queues: resource.get(at).map(texts).unwrap_or_default(),
            statements: statements(id, resource, "/PolicyDocument"),
            // A document that is still text could not be read as one.
            is_unclear: is_unclear(&resource.properties) || resource.text("/PolicyDocument").is_some(),
        })
        .collect()
}

/// The statements of a bucket's policy.
pub(crate) fn bucket_statements<'a>(id: &'a str, policy: &'a Resource) -> Vec<Statement<'a>> {
    statements(id, policy, "/PolicyDocument")
}

/// Types that hold a policy document of their own for roles, users or groups.
const POLICIES: [&str; 3] = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];

/// The statements of a resource of IAM's; a role's trust policy is not among them.
fn identity_statements_of<'a>(id: &'a str, resource: &'a Resource) -> Vec<Statement<'a>> {
    if POLICIES.contains(&resource.kind.as_str()) {
        return statements(id, resource, "/PolicyDocument");
    }
    if resource.kind != "AWS::IAM::Role" {
        return Vec::new();
    }
    let count = crate::value::items(resource.get("/Policies")).len();
    (0..count)
        .flat_map(|index| statements(id, resource, &format!("/Policies/{index}/PolicyDocument")))
        .collect()
}

/// All statements that give somebody rights.
pub(crate) fn identity_statements(stack: &Stack) -> Vec<Statement<'_>> {
    stack.resources.iter().flat_map(|(id, resource)| identity_statements_of(id, resource)).collect()
}

/// A role of the stack.
#[derive(Clone)]
pub(crate) struct Role<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// Its own, and those of the stack's policies that are attached to it.
    pub(crate) statements: Vec<Statement<'a>>,
    /// ARNs of policies from elsewhere.
    pub(crate) managed: Vec<&'a str>,
}

impl Role<'_> {
    /// Returns true if it allows an action on an ARN, or may: a resource that only the deployment knows counts as the ARN.
    pub(crate) fn may(&self, action: &str, arn: &str) -> bool {
        self.statements.iter().any(|statement| {
            let about = |pattern: &str| {
                matches(pattern, arn) || pattern.starts_with("${Fn::") || arn.starts_with("${Fn::")
            };
            statement.allows() && statement.has_action(action) && statement.resources().into_iter().any(about)
        })
    }

    /// Returns true if a policy from elsewhere may allow more than the statements here. AWS's own policies are known not to.
    pub(crate) fn is_open(&self) -> bool {
        let is_known = |arn: &&str| arn.contains(":aws:policy/") || arn.starts_with("AWS");
        self.managed.iter().any(|arn| is_token(arn) || !is_known(arn))
    }
}

/// The role that a property refers to, if it is in the stack.
pub(crate) fn role_at<'a>(stack: &'a Stack, owner: &'a Resource, pointer: &str) -> Option<Role<'a>> {
    let to = owner.references.iter().find(|reference| reference.at == pointer)?;
    let Target::Resource { id, .. } = &to.to else { return None };
    let (id, resource) =
        stack.resources.get_key_value(id).filter(|(_, resource)| resource.kind == "AWS::IAM::Role")?;
    let attached = stack.resources.iter().filter(|(policy_id, policy)| {
        POLICIES.contains(&policy.kind.as_str())
            && (["/Roles", "/RoleName"].iter().any(|at| policy.refers_to(at, id))
                || resource.refers_to("/ManagedPolicyArns", policy_id))
    });
    let mut statements = identity_statements_of(id, resource);
    statements.extend(attached.flat_map(|(id, policy)| identity_statements_of(id, policy)));
    let managed = resource.get("/ManagedPolicyArns").map(texts).unwrap_or_default();
    Some(Role { id, resource, statements, managed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_iam_s_do() {
        for (pattern, text) in
            [("*", ""), ("sqs:*", "sqs:SendMessage"), ("a*b*c", "aXbYbc"), ("?", "é"), ("a**", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("sqs:Send*", "sqs:ReceiveMessage"), ("a*b", "abc"), ("a?", "a"), ("?", "")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
