# A message without a type to filter by, since its body is no JSON or it has no attributes, reaches no queue: SNS drops it.
resource "aws_cloudwatch_metric_alarm" "unreadable" {
  alarm_name        = "${local.topic_name}-unreadable"
  alarm_description = "Messages to ${local.topic_name} have no type and reach no queue. docs/runbook.md: Published messages do not arrive"
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

# What SNS can bring neither to its queue nor to the dead-letter queue is lost.
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
