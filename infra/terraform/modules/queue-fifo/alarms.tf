resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name        = "${var.service_name}-fifo-dead-letters"
  alarm_description = "There are dead letters of ${local.queue_name}. ${var.dead_letter_owner} decides what becomes of them. docs/runbook.md: Dead letters"
  namespace         = "AWS/SQS"
  # What a redrive policy moves does not count as sent, so only the depth shows it.
  metric_name = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.dead_letters.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

# They still wait. There is a week left when this fires.
resource "aws_cloudwatch_metric_alarm" "dead_letter_age" {
  alarm_name        = "${var.service_name}-fifo-dead-letter-age"
  alarm_description = "Dead letters of ${local.queue_name} have waited for a week, and will be deleted. ${var.dead_letter_owner} decides what becomes of them. docs/runbook.md: Dead letters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.dead_letters.name
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 604800
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

# The oldest message of a blocked group counts here too: a FIFO queue is as old as its slowest group.
resource "aws_cloudwatch_metric_alarm" "oldest_message_age" {
  alarm_name        = "${var.service_name}-fifo-oldest-message-age"
  alarm_description = "Messages of ${local.queue_name} wait longer than ${var.oldest_message_age_seconds} s. docs/runbook.md: The backlog grows"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.jobs.name
  }
  statistic = "Maximum"
  period    = 60
  # The age is approximate and jumps: one value above the threshold is not enough.
  evaluation_periods  = 3
  threshold           = var.oldest_message_age_seconds
  comparison_operator = "GreaterThanThreshold"
  # SQS reports no metrics for a queue that was idle for six hours, and an idle queue is not late.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  ok_actions         = [var.alarm_topic_arn]
}
