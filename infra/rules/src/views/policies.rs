//! Policy documents, and the roles to which they are attached.

use serde_json::Value;

use crate::model::{Resource, Stack, Target};
use crate::value::{is_token, is_unclear, one_or_many, texts};

/// A statement of a policy, and its place.
#[derive(Clone)]
pub(crate) struct Statement<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// The pointer to the statement in the resource's properties.
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

    /// Returns its actions, with their wildcards.
    pub(crate) fn actions(&self) -> Vec<&'a str> {
        texts(&self.value["Action"])
    }

    /// Returns its resources, with their wildcards.
    pub(crate) fn resources(&self) -> Vec<&'a str> {
        texts(&self.value["Resource"])
    }

    /// Returns true if it applies to all principals.
    pub(crate) fn is_for_anybody(&self) -> bool {
        let principal = &self.value["Principal"];
        texts(principal).contains(&"*") || texts(&principal["AWS"]).contains(&"*")
    }

    /// Returns true if it includes this action.
    pub(crate) fn has_action(&self, action: &str) -> bool {
        self.actions()
            .into_iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    }

    /// Returns true if it includes this resource.
    pub(crate) fn has_resource(&self, arn: &str) -> bool {
        self.resources().into_iter().any(|pattern| matches(pattern, arn))
    }

    /// Returns the keys of its conditions, in lower case, with their values.
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

/// Returns true if a pattern with `*` and `?` matches a text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The position of the last star, and the length of the text that it matches so far.
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

/// Returns the statements of the document at a pointer.
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

/// A queue policy.
pub(crate) struct QueuePolicy<'a> {
    /// The queues to which it is attached, as written in the template.
    pub(crate) queues: Vec<&'a str>,
    pub(crate) statements: Vec<Statement<'a>>,
    /// True if a part of it could not be evaluated.
    pub(crate) is_unclear: bool,
}

/// Returns the queue policies of a stack.
pub(crate) fn queue_policies(stack: &Stack) -> Vec<QueuePolicy<'_>> {
    let kinds = [("AWS::SQS::QueuePolicy", "/Queues"), ("AWS::SQS::QueueInlinePolicy", "/Queue")];
    let policies =
        kinds.into_iter().flat_map(|(kind, at)| stack.of_kind(kind).map(move |policy| (policy, at)));
    policies
        .map(|((id, resource), at)| QueuePolicy {
            queues: resource.get(at).map(texts).unwrap_or_default(),
            statements: statements(id, resource, "/PolicyDocument"),
            // A document that is still text could not be parsed.
            is_unclear: is_unclear(&resource.properties) || resource.text("/PolicyDocument").is_some(),
        })
        .collect()
}

/// Returns the statements of a bucket policy.
pub(crate) fn bucket_statements<'a>(id: &'a str, policy: &'a Resource) -> Vec<Statement<'a>> {
    statements(id, policy, "/PolicyDocument")
}

/// Types that contain a policy document for roles, users or groups.
const POLICIES: [&str; 3] = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];

/// Returns the statements of an IAM resource, without a role's trust policy.
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

/// Returns all statements that grant permissions to identities.
pub(crate) fn identity_statements(stack: &Stack) -> Vec<Statement<'_>> {
    stack.resources.iter().flat_map(|(id, resource)| identity_statements_of(id, resource)).collect()
}

/// A role of the stack.
#[derive(Clone)]
pub(crate) struct Role<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// Its own statements, and those of the stack's policies that are attached to it.
    pub(crate) statements: Vec<Statement<'a>>,
    /// ARNs of policies outside the stack.
    pub(crate) managed: Vec<&'a str>,
}

impl Role<'_> {
    /// Returns true if it allows, or may allow, an action on an ARN: a resource that is known only after the deployment counts
    /// as the ARN.
    pub(crate) fn may(&self, action: &str, arn: &str) -> bool {
        self.statements.iter().any(|statement| {
            let about = |pattern: &str| {
                matches(pattern, arn) || pattern.starts_with("${Fn::") || arn.starts_with("${Fn::")
            };
            statement.allows() && statement.has_action(action) && statement.resources().into_iter().any(about)
        })
    }

    /// Returns true if a policy outside the stack may allow more than the statements here. AWS's own policies are known.
    pub(crate) fn is_open(&self) -> bool {
        let is_known = |arn: &&str| arn.contains(":aws:policy/") || arn.starts_with("AWS");
        self.managed.iter().any(|arn| is_token(arn) || !is_known(arn))
    }
}

/// Returns the role that a property refers to, if it is in the stack.
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
