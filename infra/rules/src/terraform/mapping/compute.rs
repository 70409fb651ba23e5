//! Functions, tasks and services, with their scaling and security groups.

use super::shape::{Default, How, PLAIN, Shape, TAGS, Type, field, named, shape};

const FUNCTION: Shape = shape(&[
    named("s3_bucket", "Code/S3Bucket"),
    named("s3_key", "Code/S3Key"),
    named("s3_object_version", "Code/S3ObjectVersion"),
    named("image_uri", "Code/ImageUri"),
    field("environment", "Environment", How::Block(&PLAIN)),
    field("logging_config", "LoggingConfig", How::Block(&PLAIN)),
    field("tracing_config", "TracingConfig", How::Block(&PLAIN)),
    field("dead_letter_config", "DeadLetterConfig", How::Block(&PLAIN)),
    TAGS,
]);

const MAPPING: Shape = shape(&[
    field("scaling_config", "ScalingConfig", How::Block(&PLAIN)),
    field("provisioned_poller_config", "ProvisionedPollerConfig", How::Block(&POLLERS)),
    field("filter_criteria", "FilterCriteria", How::Block(&FILTERS)),
    TAGS,
]);

const POLLERS: Shape =
    shape(&[named("minimum_pollers", "MinimumPollers"), named("maximum_pollers", "MaximumPollers")]);

const FILTERS: Shape = shape(&[field("filter", "Filters", How::Blocks(&PLAIN))]);

const TASK: Shape = shape(&[
    field("container_definitions", "ContainerDefinitions", How::ApiDocument),
    field("runtime_platform", "RuntimePlatform", How::Block(&PLAIN)),
    field("volume", "Volumes", How::Blocks(&PLAIN)),
    TAGS,
]);

const SERVICE: Shape = shape(&[
    named("name", "ServiceName"),
    named("enable_ecs_managed_tags", "EnableECSManagedTags"),
    named("deployment_minimum_healthy_percent", "DeploymentConfiguration/MinimumHealthyPercent"),
    named("deployment_maximum_percent", "DeploymentConfiguration/MaximumPercent"),
    field(
        "deployment_circuit_breaker",
        "DeploymentConfiguration/DeploymentCircuitBreaker",
        How::Block(&PLAIN),
    ),
    field("capacity_provider_strategy", "CapacityProviderStrategy", How::Blocks(&PLAIN)),
    field("network_configuration", "NetworkConfiguration/AwsvpcConfiguration", How::Block(&NETWORK)),
    TAGS,
]);

const NETWORK: Shape = shape(&[field("assign_public_ip", "AssignPublicIp", How::Enabled)]);

const CLUSTER: Shape =
    shape(&[named("name", "ClusterName"), field("setting", "ClusterSettings", How::Blocks(&PLAIN)), TAGS]);

/// Terraform removes the rule that allows all outgoing traffic. CloudFormation keeps it if there is no other rule.
const SECURITY_GROUP: Shape = Shape {
    fields: &[
        named("name", "GroupName"),
        named("description", "GroupDescription"),
        field("egress", "SecurityGroupEgress", How::Blocks(&INLINE_RULE)),
        field("ingress", "SecurityGroupIngress", How::Blocks(&INLINE_RULE)),
        field("name_prefix", "", How::Nothing),
        TAGS,
    ],
    defaults: &[("SecurityGroupEgress", Default::EmptyList)],
};

const INLINE_RULE: Shape = shape(&[
    named("protocol", "IpProtocol"),
    field("cidr_blocks", "CidrIp", How::OnlyItem),
    field("ipv6_cidr_blocks", "CidrIpv6", How::OnlyItem),
]);

const RULE: Shape = shape(&[
    named("security_group_id", "GroupId"),
    named("cidr_ipv4", "CidrIp"),
    named("cidr_ipv6", "CidrIpv6"),
]);

const SCALING_POLICY: Shape = shape(&[
    named("name", "PolicyName"),
    field(
        "target_tracking_scaling_policy_configuration",
        "TargetTrackingScalingPolicyConfiguration",
        How::Block(&TRACKING),
    ),
    field("step_scaling_policy_configuration", "StepScalingPolicyConfiguration", How::Block(&STEPS)),
]);

const TRACKING: Shape = shape(&[
    field("customized_metric_specification", "CustomizedMetricSpecification", How::Block(&CUSTOMIZED)),
    field("predefined_metric_specification", "PredefinedMetricSpecification", How::Block(&PLAIN)),
]);

const CUSTOMIZED: Shape = shape(&[
    field("metrics", "Metrics", How::Blocks(&METRICS)),
    field("dimensions", "Dimensions", How::Blocks(&PLAIN)),
]);

const METRICS: Shape = shape(&[field("metric_stat", "MetricStat", How::Block(&METRIC_STAT))]);

const METRIC_STAT: Shape = shape(&[field("metric", "Metric", How::Block(&METRIC))]);

const METRIC: Shape = shape(&[field("dimensions", "Dimensions", How::Blocks(&PLAIN))]);

const STEPS: Shape = shape(&[field("step_adjustment", "StepAdjustments", How::Blocks(&PLAIN))]);

pub(super) const TYPES: [Type; 10] = [
    Type {
        terraform: "aws_lambda_function",
        cloudformation: "AWS::Lambda::Function",
        name: "function_name",
        shape: &FUNCTION,
    },
    Type {
        terraform: "aws_lambda_event_source_mapping",
        cloudformation: "AWS::Lambda::EventSourceMapping",
        name: "",
        shape: &MAPPING,
    },
    Type {
        terraform: "aws_ecs_task_definition",
        cloudformation: "AWS::ECS::TaskDefinition",
        name: "",
        shape: &TASK,
    },
    Type { terraform: "aws_ecs_service", cloudformation: "AWS::ECS::Service", name: "", shape: &SERVICE },
    Type { terraform: "aws_ecs_cluster", cloudformation: "AWS::ECS::Cluster", name: "", shape: &CLUSTER },
    Type {
        terraform: "aws_security_group",
        cloudformation: "AWS::EC2::SecurityGroup",
        name: "",
        shape: &SECURITY_GROUP,
    },
    Type {
        terraform: "aws_vpc_security_group_egress_rule",
        cloudformation: "AWS::EC2::SecurityGroupEgress",
        name: "",
        shape: &RULE,
    },
    Type {
        terraform: "aws_vpc_security_group_ingress_rule",
        cloudformation: "AWS::EC2::SecurityGroupIngress",
        name: "",
        shape: &RULE,
    },
    Type {
        terraform: "aws_appautoscaling_target",
        cloudformation: "AWS::ApplicationAutoScaling::ScalableTarget",
        name: "",
        shape: &PLAIN,
    },
    Type {
        terraform: "aws_appautoscaling_policy",
        cloudformation: "AWS::ApplicationAutoScaling::ScalingPolicy",
        name: "",
        shape: &SCALING_POLICY,
    },
];
