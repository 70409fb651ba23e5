//! Merges resources that are one resource in CloudFormation, and splits those that are two.

use std::collections::BTreeMap;

use crate::model::Target;
use crate::terraform::evaluated::Evaluated;

/// A resource during the conversion to CloudFormation's form.
#[derive(Debug)]
pub(in crate::terraform) struct Draft {
    /// The Terraform type, such as `aws_sqs_queue`.
    pub(in crate::terraform) terraform: String,
    pub(in crate::terraform) properties: Evaluated,
    /// True if Terraform refuses to destroy it.
    pub(in crate::terraform) retained: bool,
    /// The resources in `depends_on`.
    pub(in crate::terraform) depends_on: Vec<String>,
}

/// Merges and splits resources.
pub(in crate::terraform) fn merge(drafts: &mut BTreeMap<String, Draft>) {
    for (part, owner_at, property) in [
        ("aws_sqs_queue_redrive_policy", "/QueueUrl", "RedrivePolicy"),
        ("aws_sqs_queue_redrive_allow_policy", "/QueueUrl", "RedriveAllowPolicy"),
    ] {
        for (owner, draft) in take(drafts, part, owner_at) {
            let document = draft.properties.get("Document").unwrap_or_default();
            if let Some(owner) = drafts.get_mut(&owner) {
                owner.properties.put(property, &document);
            }
        }
    }
    for (role, draft) in take(drafts, "aws_iam_role_policy_attachment", "/Role") {
        attach(drafts, &role, &draft.properties);
    }
    for (part, property) in [
        ("aws_s3_bucket_server_side_encryption_configuration", "BucketEncryption"),
        ("aws_s3_bucket_public_access_block", "PublicAccessBlockConfiguration"),
        ("aws_s3_bucket_lifecycle_configuration", "LifecycleConfiguration"),
    ] {
        for (bucket, draft) in take(drafts, part, "/Bucket") {
            let mut settings = draft.properties;
            settings.remove("Bucket");
            if let Some(bucket) = drafts.get_mut(&bucket) {
                bucket.properties.put(property, &settings);
            }
        }
    }
    split_queue_policies(drafts);
}

/// A policy of the module names the role, because the attachment waits for both. Any other policy is attached to the role by
/// its ARN.
fn attach(drafts: &mut BTreeMap<String, Draft>, role: &str, attachment: &Evaluated) {
    let policy = referred(attachment, "/PolicyArn").filter(|policy| drafts.contains_key(*policy));
    let (owner, property, part) = match policy {
        Some(policy) => (policy.to_owned(), "Roles", attachment.get("Role")),
        None => (role.to_owned(), "ManagedPolicyArns", attachment.get("PolicyArn")),
    };
    if let (Some(owner), Some(part)) = (drafts.get_mut(&owner), part) {
        let others = owner.properties.get(property).unwrap_or_default().items();
        owner.properties.remove(property);
        owner.properties.put(property, &Evaluated::array(others.into_iter().chain([part])));
    }
}

/// Returns the resource that a property refers to.
fn referred<'a>(properties: &'a Evaluated, at: &str) -> Option<&'a str> {
    properties.references.iter().find_map(|reference| match &reference.to {
        Target::Resource { id, .. } if reference.at == at => Some(id.as_str()),
        _ => None,
    })
}

/// Removes and returns the resources of a type, with the ID of the resource that each refers to. Those without a reference
/// stay.
fn take(drafts: &mut BTreeMap<String, Draft>, kind: &str, owner_at: &str) -> Vec<(String, Draft)> {
    let parts: Vec<(String, String)> = drafts
        .iter()
        .filter(|(_, draft)| draft.terraform == kind)
        .filter_map(|(id, draft)| Some((id.clone(), referred(&draft.properties, owner_at)?.to_owned())))
        .filter(|(_, owner)| drafts.contains_key(owner))
        .collect();
    parts.into_iter().filter_map(|(id, owner)| Some((owner, drafts.remove(&id)?))).collect()
}

/// A queue's own policy is a separate resource in CloudFormation.
fn split_queue_policies(drafts: &mut BTreeMap<String, Draft>) {
    let mut policies = Vec::new();
    for (id, draft) in drafts.iter().filter(|(_, draft)| draft.terraform == "aws_sqs_queue") {
        if let Some(document) = draft.properties.get("Policy") {
            let queue = Evaluated::token(id, Target::Resource { id: id.clone(), attribute: None });
            let properties = Evaluated::object([
                ("Queues".to_owned(), Evaluated::array([queue])),
                ("PolicyDocument".to_owned(), document),
            ]);
            policies.push((id.clone(), properties));
        }
    }
    for (id, properties) in policies {
        if let Some(queue) = drafts.get_mut(&id) {
            queue.properties.remove("Policy");
        }
        let terraform = "aws_sqs_queue_policy".to_owned();
        let policy = Draft { terraform, properties, retained: false, depends_on: Vec::new() };
        drafts.insert(format!("{id}.policy"), policy);
    }
}
