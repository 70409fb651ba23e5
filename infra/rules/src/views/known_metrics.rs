//! The metrics that exist.

/// The namespace of the runtime's own metrics.
const OURS: &str = "Drumline";

/// The runtime's metrics that every dashboard of them must show, with the names of `/metrics`.
pub(crate) const CATALOGUE: [&str; 20] = [
    "drumline_claims_lost_total",
    "drumline_deduplicated_total",
    "drumline_deliveries_in_hand",
    "drumline_dlq_depth",
    "drumline_empty_receives_total",
    "drumline_failures_total",
    "drumline_job_duration_seconds",
    "drumline_job_dwell_seconds",
    "drumline_jobs_running",
    "drumline_jobs_stalled_total",
    "drumline_jobs_total",
    "drumline_lease_renewals_total",
    "drumline_leases_lost_total",
    "drumline_oldest_message_age_seconds",
    "drumline_paused",
    "drumline_pickup_delay_seconds",
    "drumline_queue_depth",
    "drumline_sqs_requests_total",
    "drumline_store_requests_total",
    "drumline_unmarked_total",
];

/// The metrics that no dashboard has to show, because most workers do not have them: those of watched DLQs (whose depth is in
/// the list above), limits, shared slots and tenants.
const OF_SOME: [&str; 13] = [
    "drumline_dlq_alerts_total",
    "drumline_dlq_letters_total",
    "drumline_limit_closed",
    "drumline_limit_returned_total",
    "drumline_limit_running",
    "drumline_limit_slots",
    "drumline_limit_tokens",
    "drumline_limit_waiting",
    "drumline_slots",
    "drumline_slots_late",
    "drumline_slots_share",
    "drumline_tenant_dwell_seconds",
    "drumline_tenant_jobs_total",
];

/// SQS's metrics. See [the
/// page](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html).
const SQS: [&str; 16] = [
    "ApproximateAgeOfOldestMessage",
    "ApproximateAgeOfOldestMessageInQuietGroups",
    "ApproximateNumberOfGroupsWithInflightMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesDelayedInQuietGroups",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesNotVisibleInQuietGroups",
    "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesVisibleInQuietGroups",
    "ApproximateNumberOfNoisyGroups",
    "NumberOfDeduplicatedSentMessages",
    "NumberOfEmptyReceives",
    "NumberOfMessagesDeleted",
    "NumberOfMessagesReceived",
    "NumberOfMessagesSent",
    "SentMessageSize",
];

/// SNS's metrics. See [the page](https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html).
const SNS: [&str; 14] = [
    "NumberOfMessagesPublished",
    "NumberOfNotificationsDelivered",
    "NumberOfNotificationsFailed",
    "NumberOfNotificationsFailedToRedriveToDlq",
    "NumberOfNotificationsFilteredOut",
    "NumberOfNotificationsFilteredOut-InvalidAttributes",
    "NumberOfNotificationsFilteredOut-InvalidMessageBody",
    "NumberOfNotificationsFilteredOut-MessageAttributes",
    "NumberOfNotificationsFilteredOut-MessageBody",
    "NumberOfNotificationsFilteredOut-NoMessageAttributes",
    "NumberOfNotificationsRedrivenToDlq",
    "PublishSize",
    "SMSMonthToDateSpentUSD",
    "SMSSuccessRate",
];

/// Lambda's metrics. See [the page](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html).
const LAMBDA: [&str; 29] = [
    "AsyncEventAge",
    "AsyncEventsDropped",
    "AsyncEventsReceived",
    "ClaimedAccountConcurrency",
    "ConcurrentExecutions",
    "DeadLetterErrors",
    "DeletedEventCount",
    "DestinationDeliveryFailures",
    "DroppedEventCount",
    "Duration",
    "Errors",
    "FailedInvokeEventCount",
    "FilteredOutEventCount",
    "Invocations",
    "InvokedEventCount",
    "IteratorAge",
    "OffsetLag",
    "OnFailureDestinationDeliveredEventCount",
    "OversizedRecordCount",
    "PolledEventCount",
    "PostRuntimeExtensionsDuration",
    "ProvisionedConcurrencyInvocations",
    "ProvisionedConcurrencySpilloverInvocations",
    "ProvisionedConcurrencyUtilization",
    "ProvisionedConcurrentExecutions",
    "ProvisionedPollers",
    "RecursiveInvocationsDropped",
    "Throttles",
    "UnreservedConcurrentExecutions",
];

/// ECS's metrics. See [the page](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html).
const ECS: [&str; 8] = [
    "ActiveConnectionCount",
    "CPUReservation",
    "CPUUtilization",
    "EBSFilesystemUtilization",
    "GPUReservation",
    "MemoryReservation",
    "MemoryUtilization",
    "NewConnectionCount",
];

/// Container Insights' metrics. See [the
/// page](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html).
const INSIGHTS: [&str; 22] = [
    "ContainerInstanceCount",
    "CpuReserved",
    "CpuUtilized",
    "DeploymentCount",
    "DesiredTaskCount",
    "EBSFilesystemSize",
    "EBSFilesystemUtilized",
    "EphemeralStorageReserved",
    "EphemeralStorageUtilized",
    "MemoryReserved",
    "MemoryUtilized",
    "NetworkRxBytes",
    "NetworkTxBytes",
    "PendingTaskCount",
    "RestartCount",
    "RunningTaskCount",
    "ServiceCount",
    "StorageReadBytes",
    "StorageWriteBytes",
    "TaskCount",
    "TaskSetCount",
    "UnHealthyContainerHealthStatus",
];

/// The prefixes of the further metrics of enhanced observability.
const ENHANCED: [&str; 3] = ["Container", "Task", "Instance"];

/// Returns true if a namespace has a metric. `None` for an unknown namespace.
pub(crate) fn exists(namespace: &str, name: &str) -> Option<bool> {
    let known: &[&str] = match namespace {
        "AWS/SQS" => &SQS,
        "AWS/SNS" => &SNS,
        "AWS/Lambda" => &LAMBDA,
        "AWS/ECS" => &ECS,
        "ECS/ContainerInsights" if ENHANCED.iter().any(|begin| name.starts_with(begin)) => return Some(true),
        "ECS/ContainerInsights" => &INSIGHTS,
        OURS if OF_SOME.contains(&name) => return Some(true),
        OURS => &CATALOGUE,
        _ => return None,
    };
    Some(known.contains(&name))
}
