//! B01 to B03: buckets of payloads that are too large for SQS.

use serde_json::Value;

use super::queues::kept_on_delete;
use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{has_token, int, is_unclear, items, plain, truth};
use crate::views::payload_buckets::payload_buckets;

/// A message is kept for 14 days, and for another 14 in a FIFO queue's DLQ. One more day is for a replay.
const LEAST_DAYS: i64 = 29;

/// The settings of a bucket without public access.
const SWITCHES: [&str; 4] =
    ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];

const LIFECYCLE: &str = "/LifecycleConfiguration/Rules";
const PUBLIC_ACCESS: &str = "/PublicAccessBlockConfiguration";
const ENCRYPTION: &str = "/BucketEncryption/ServerSideEncryptionConfiguration";

pub(super) const RULES: [Rule; 3] = [
    Rule {
        id: "B01",
        title: "a bucket of payloads expires all of its objects, and none before 29 days",
        reason: "Workers never delete a payload: a replay or another queue of a fan-out may need it. Without a lifecycle rule all payloads are kept at a cost. A rule that is too short leaves dead letters without their payloads.",
        fix: "Add a lifecycle rule without a filter, with ExpirationInDays of 29 or more: 14 days in the queue, 14 in a FIFO queue's DLQ, and time for a replay.",
        at_bounds: true,
        check: payloads_expire,
    },
    Rule {
        id: "B02",
        title: "a bucket of payloads is encrypted, has no public access, and denies `s3:*` to all principals if `aws:SecureTransport` is false",
        reason: "Payloads are as confidential as messages: only workers and operators may read them, at rest or in transit.",
        fix: "Set BucketEncryption and all four of PublicAccessBlockConfiguration, and add a BucketPolicy with Deny, Principal \"*\", Action s3:*, Condition Bool aws:SecureTransport false.",
        at_bounds: false,
        check: payloads_are_private,
    },
    Rule {
        id: "B03",
        title: "a bucket of payloads is kept when its stack is deleted",
        reason: "Messages that wait and dead letters would point to nothing, and fail permanently.",
        fix: "Set DeletionPolicy: RetainExceptOnCreate and UpdateReplacePolicy: Retain (Terraform: prevent_destroy).",
        at_bounds: false,
        check: payloads_are_kept,
    },
];

fn payloads_expire(case: &Case<'_>, report: &mut Report<'_>) {
    for bucket in payload_buckets(case.stack) {
        let rules = items(bucket.resource.get(LIFECYCLE));
        if rules.iter().any(is_unclear) || bucket.resource.text(LIFECYCLE).is_some() {
            continue;
        }
        let mut is_complete = false;
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| plain(&rule["Status"]) == "Enabled")
        {
            let days = &rule["ExpirationInDays"];
            if int(days).is_some_and(|days| days < LEAST_DAYS) {
                let at = format!("{LIFECYCLE}/{index}/ExpirationInDays");
                report.at(bucket.id, bucket.resource, &at, format!("they expire after {} days", plain(days)));
            }
            is_complete |= !days.is_null() && !is_narrowed(rule);
        }
        if !is_complete {
            report.at(bucket.id, bucket.resource, LIFECYCLE, "no rule expires all of its objects");
        }
    }
}

/// Returns true if a lifecycle rule applies to only some of the objects.
fn is_narrowed(rule: &Value) -> bool {
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    ["Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Filter"]
        .iter()
        .any(|name| is_set(&rule[*name]))
}

fn payloads_are_private(case: &Case<'_>, report: &mut Report<'_>) {
    for bucket in payload_buckets(case.stack) {
        for switch in SWITCHES {
            let at = format!("{PUBLIC_ACCESS}/{switch}");
            let value = bucket.resource.get(&at);
            let is_on = value.is_some_and(|value| truth(value) == Some(true) || has_token(&plain(value)));
            if !is_on {
                report.at(bucket.id, bucket.resource, PUBLIC_ACCESS, format!("{switch} is not true"));
            }
        }
        if bucket.resource.get(ENCRYPTION).is_none() {
            report.at(bucket.id, bucket.resource, "", "encryption is not set");
        }
        let refuses_plain_http = bucket.statements.iter().any(|statement| {
            let is_insecure = statement.conditions().iter().any(|(key, values)| {
                key == "aws:securetransport" && values.iter().any(|value| value.eq_ignore_ascii_case("false"))
            });
            statement.denies() && is_insecure && statement.is_for_anybody() && statement.has_action("s3:*")
        });
        if !refuses_plain_http {
            report.at(bucket.id, bucket.resource, "", "no policy denies unencrypted connections to it");
        }
    }
}

fn payloads_are_kept(case: &Case<'_>, report: &mut Report<'_>) {
    for bucket in payload_buckets(case.stack) {
        kept_on_delete(case.stack, bucket.id, bucket.resource, report);
    }
}
