//! Buckets of large payloads, and their policies.

use crate::model::{Resource, Stack, Target};
use crate::views::policies::{Statement, bucket_statements};

/// The output from which workers and producers take the bucket's name.
const OUTPUT: &str = "PayloadBucketName";

/// A bucket of large payloads.
pub(crate) struct PayloadBucket<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// The statements of its policy.
    pub(crate) statements: Vec<Statement<'a>>,
}

/// Returns the buckets that a stack declares as payload buckets.
pub(crate) fn payload_buckets(stack: &Stack) -> Vec<PayloadBucket<'_>> {
    let outputs = stack.outputs.iter().filter(|(name, _)| *name == OUTPUT);
    let named =
        outputs.flat_map(|(_, output)| &output.references).filter_map(|reference| match &reference.to {
            Target::Resource { id, .. } => stack.resources.get_key_value(id),
            _ => None,
        });
    let buckets = named.filter(|(_, resource)| resource.kind == "AWS::S3::Bucket");
    buckets
        .map(|(id, resource)| {
            let policies = stack.of_kind("AWS::S3::BucketPolicy");
            let own = policies.filter(|(_, policy)| policy.refers_to("/Bucket", id));
            let statements = own.flat_map(|(id, policy)| bucket_statements(id, policy)).collect();
            PayloadBucket { id, resource, statements }
        })
        .collect()
}
