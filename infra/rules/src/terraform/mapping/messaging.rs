//! Queues, topics, tables, and the permissions on them.

use super::shape::{How, PLAIN, Shape, TAGS, Type, field, named, shape};

const QUEUE: Shape = shape(&[
    named("name", "QueueName"),
    named("visibility_timeout_seconds", "VisibilityTimeout"),
    named("message_retention_seconds", "MessageRetentionPeriod"),
    named("receive_wait_time_seconds", "ReceiveMessageWaitTimeSeconds"),
    named("max_message_size", "MaximumMessageSize"),
    field("redrive_policy", "RedrivePolicy", How::Document),
    field("redrive_allow_policy", "RedriveAllowPolicy", How::Document),
    // A separate resource in CloudFormation: see `together`.
    field("policy", "Policy", How::Document),
    field("name_prefix", "", How::Nothing),
    TAGS,
]);

const QUEUE_POLICY: Shape =
    shape(&[field("queue_url", "Queues/0", How::Same), field("policy", "PolicyDocument", How::Document)]);

const REDRIVE: Shape = shape(&[
    field("redrive_policy", "Document", How::Document),
    field("redrive_allow_policy", "Document", How::Document),
]);

const ROLE: Shape = shape(&[
    named("name", "RoleName"),
    field("assume_role_policy", "AssumeRolePolicyDocument", How::Document),
    named("managed_policy_arns", "ManagedPolicyArns"),
    field("inline_policy", "Policies", How::Blocks(&INLINE_POLICY)),
    field("name_prefix", "", How::Nothing),
    TAGS,
]);

const INLINE_POLICY: Shape =
    shape(&[named("name", "PolicyName"), field("policy", "PolicyDocument", How::Document)]);

const ROLE_POLICY: Shape = shape(&[
    named("name", "PolicyName"),
    named("role", "RoleName"),
    field("policy", "PolicyDocument", How::Document),
]);

const MANAGED_POLICY: Shape =
    shape(&[named("name", "ManagedPolicyName"), field("policy", "PolicyDocument", How::Document), TAGS]);

const TOPIC: Shape = shape(&[named("name", "TopicName"), TAGS]);

const TOPIC_POLICY: Shape =
    shape(&[named("arn", "Topics/0"), field("policy", "PolicyDocument", How::Document)]);

const SUBSCRIPTION: Shape = shape(&[
    field("filter_policy", "FilterPolicy", How::Document),
    field("redrive_policy", "RedrivePolicy", How::Document),
]);

const TABLE: Shape = shape(&[
    named("name", "TableName"),
    // Only the attribute's name. Here the field's name says if it is for hashing or sorting.
    named("hash_key", "KeySchema/0"),
    field("ttl", "TimeToLiveSpecification", How::Block(&PLAIN)),
    TAGS,
]);

const BUCKET: Shape = shape(&[named("bucket", "BucketName"), field("bucket_prefix", "", How::Nothing), TAGS]);

const BUCKET_POLICY: Shape = shape(&[field("policy", "PolicyDocument", How::Document)]);

const BUCKET_ENCRYPTION: Shape =
    shape(&[field("rule", "ServerSideEncryptionConfiguration", How::Blocks(&PLAIN))]);

const BUCKET_LIFECYCLE: Shape = shape(&[field("rule", "Rules", How::Blocks(&LIFECYCLE_RULE))]);

const LIFECYCLE_RULE: Shape = shape(&[field("expiration", "", How::Block(&EXPIRATION))]);

const EXPIRATION: Shape = shape(&[named("days", "ExpirationInDays")]);

pub(super) const TYPES: [Type; 17] = [
    Type { terraform: "aws_sqs_queue", cloudformation: "AWS::SQS::Queue", name: "name", shape: &QUEUE },
    Type {
        terraform: "aws_sqs_queue_policy",
        cloudformation: "AWS::SQS::QueuePolicy",
        name: "",
        shape: &QUEUE_POLICY,
    },
    // These, and three types of buckets below, are parts of other resources in CloudFormation: see `together`.
    Type { terraform: "aws_sqs_queue_redrive_policy", cloudformation: "", name: "", shape: &REDRIVE },
    Type { terraform: "aws_sqs_queue_redrive_allow_policy", cloudformation: "", name: "", shape: &REDRIVE },
    Type { terraform: "aws_iam_role_policy_attachment", cloudformation: "", name: "", shape: &PLAIN },
    Type { terraform: "aws_iam_role", cloudformation: "AWS::IAM::Role", name: "name", shape: &ROLE },
    Type {
        terraform: "aws_iam_role_policy",
        cloudformation: "AWS::IAM::RolePolicy",
        name: "",
        shape: &ROLE_POLICY,
    },
    Type {
        terraform: "aws_iam_policy",
        cloudformation: "AWS::IAM::ManagedPolicy",
        name: "",
        shape: &MANAGED_POLICY,
    },
    Type { terraform: "aws_s3_bucket", cloudformation: "AWS::S3::Bucket", name: "bucket", shape: &BUCKET },
    Type {
        terraform: "aws_s3_bucket_policy",
        cloudformation: "AWS::S3::BucketPolicy",
        name: "",
        shape: &BUCKET_POLICY,
    },
    Type {
        terraform: "aws_s3_bucket_server_side_encryption_configuration",
        cloudformation: "",
        name: "",
        shape: &BUCKET_ENCRYPTION,
    },
    Type { terraform: "aws_s3_bucket_public_access_block", cloudformation: "", name: "", shape: &PLAIN },
    Type {
        terraform: "aws_s3_bucket_lifecycle_configuration",
        cloudformation: "",
        name: "",
        shape: &BUCKET_LIFECYCLE,
    },
    Type {
        terraform: "aws_dynamodb_table",
        cloudformation: "AWS::DynamoDB::Table",
        name: "name",
        shape: &TABLE,
    },
    Type { terraform: "aws_sns_topic", cloudformation: "AWS::SNS::Topic", name: "", shape: &TOPIC },
    Type {
        terraform: "aws_sns_topic_policy",
        cloudformation: "AWS::SNS::TopicPolicy",
        name: "",
        shape: &TOPIC_POLICY,
    },
    Type {
        terraform: "aws_sns_topic_subscription",
        cloudformation: "AWS::SNS::Subscription",
        name: "",
        shape: &SUBSCRIPTION,
    },
];
