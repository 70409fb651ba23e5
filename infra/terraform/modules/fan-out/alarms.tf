# A message whose body is not JSON, or that has no attributes, reaches no queue: SNS drops it. It also drops a message that has
# both but no type, or the type of no group: SNS counts these with what the filters leave out on purpose.
resource "aws_cloudwatch_metric_alarm" "unreadable" {
  alarm_name        = "${local.topic_name}-unreadable"
  alarm_description = "Messages to ${local.topic_name} are no JSON, or have no attributes to filter by, and reach no queue. docs/runbook.md: Published messages do not arrive"
  namespace         = "AWS/SNS"
  metric_name       = var.filter_on == "body" ? "NumberOfNotificationsFilteredOut-InvalidMessageBody" : "NumberOfNotificationsFilteredOut-NoMessageAttributes"
  dimensions = {
    TopicName = aws_sns_topic.events.name
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

# A message that SNS can deliver neither to its queue nor to the dead-letter queue is lost.
resource "aws_cloudwatch_metric_alarm" "lost" {
  alarm_name        = "${local.topic_name}-lost"
  alarm_description = "SNS cannot deliver messages of ${local.topic_name}. docs/runbook.md: Published messages do not arrive"
  namespace         = "AWS/SNS"
  metric_name       = "NumberOfNotificationsFailedToRedriveToDlq"
  dimensions = {
    TopicName = aws_sns_topic.events.name
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
