//! Logs, alarms and dashboards.

use super::shape::{Default, How, Shape, TAGS, Type, field, named, shape};

const LOG_GROUP: Shape =
    shape(&[named("name", "LogGroupName"), field("name_prefix", "", How::Nothing), TAGS]);

const ALARM: Shape = shape(&[
    named("ok_actions", "OKActions"),
    named("extended_statistic", "ExtendedStatistic"),
    field("dimensions", "Dimensions", How::NamesAndValues),
    field("metric_query", "Metrics", How::Blocks(&QUERY)),
    TAGS,
]);

/// A query returns no data by default. In CloudFormation it does by default.
const QUERY: Shape = Shape {
    fields: &[field("metric", "MetricStat", How::Block(&METRIC))],
    defaults: &[("ReturnData", Default::False)],
};

const METRIC: Shape = shape(&[
    named("namespace", "Metric/Namespace"),
    named("metric_name", "Metric/MetricName"),
    field("dimensions", "Metric/Dimensions", How::NamesAndValues),
]);

const DASHBOARD: Shape = shape(&[]);

pub(super) const TYPES: [Type; 3] = [
    Type {
        terraform: "aws_cloudwatch_log_group",
        cloudformation: "AWS::Logs::LogGroup",
        name: "name",
        shape: &LOG_GROUP,
    },
    Type {
        terraform: "aws_cloudwatch_metric_alarm",
        cloudformation: "AWS::CloudWatch::Alarm",
        name: "alarm_name",
        shape: &ALARM,
    },
    Type {
        terraform: "aws_cloudwatch_dashboard",
        cloudformation: "AWS::CloudWatch::Dashboard",
        name: "dashboard_name",
        shape: &DASHBOARD,
    },
];
