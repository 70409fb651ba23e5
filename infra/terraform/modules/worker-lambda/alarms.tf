# The function lists failed messages and does not fail itself, so every error is worth a look: a crash, a timeout, or
# settings that it refuses.
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name        = "${local.function_name}-errors"
  alarm_description = "Invocations of ${local.function_name} fail as a whole. docs/runbook.md: A bad deploy"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = aws_lambda_function.worker.function_name
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

# Each throttle is a batch whose messages lost a receive.
resource "aws_cloudwatch_metric_alarm" "throttles" {
  alarm_name        = "${local.function_name}-throttles"
  alarm_description = "Invocations of ${local.function_name} are throttled. docs/runbook.md: Throttling"
  namespace         = "AWS/Lambda"
  metric_name       = "Throttles"
  dimensions = {
    FunctionName = aws_lambda_function.worker.function_name
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
