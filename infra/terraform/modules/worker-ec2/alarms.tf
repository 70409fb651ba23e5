# SQS's metrics only: the worker's own and Container Insights' end with the tasks. Dead tasks' messages stay in flight until
# their visibility timeout ends, so the alarm may begin that much later.
resource "aws_cloudwatch_metric_alarm" "unattended" {
  alarm_name        = "${local.worker_name}-unattended"
  alarm_description = "Messages of ${var.queue_name} wait and no worker receives. docs/runbook.md: A bad deploy"

  metric_query {
    id = "visible"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.queue_name }
      period      = 60
      stat        = "Maximum"
    }

    return_data = false
  }

  metric_query {
    id = "inflight"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesNotVisible"
      dimensions  = { QueueName = var.queue_name }
      period      = 60
      stat        = "Maximum"
    }

    return_data = false
  }

  metric_query {
    id = "received"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "NumberOfMessagesReceived"
      dimensions  = { QueueName = var.queue_name }
      period      = 60
      stat        = "Sum"
    }

    return_data = false
  }

  metric_query {
    id = "deleted"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "NumberOfMessagesDeleted"
      dimensions  = { QueueName = var.queue_name }
      period      = 60
      stat        = "Sum"
    }

    return_data = false
  }

  metric_query {
    id = "empty"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "NumberOfEmptyReceives"
      dimensions  = { QueueName = var.queue_name }
      period      = 60
      stat        = "Sum"
    }

    return_data = false
  }

  metric_query {
    id          = "activity"
    expression  = "SUM([visible * 0, inflight, received, deleted, empty])"
    return_data = false
  }

  metric_query {
    id          = "idle"
    expression  = "IF(activity < 1, 1, 0)"
    return_data = false
  }

  metric_query {
    id          = "unattended"
    label       = "1 while messages wait and no worker receives"
    expression  = "IF(visible >= 1, idle, 0)"
    return_data = true
  }

  # Eight minutes out of twelve: a first instance takes about five to start, and the newest points of some metrics are late.
  evaluation_periods  = 12
  datapoints_to_alarm = 8
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

# Container Insights reports nothing for a service without running tasks: in minutes without counts, min_tasks are missing.
# Two late minutes are too few to fire. The condition leaves out the minutes before the service existed. When the last count
# leaves the range, the alarm keeps its state: it does not report a recovery of dead tasks.
resource "aws_cloudwatch_metric_alarm" "tasks_missing" {
  alarm_name        = "${local.worker_name}-tasks-missing"
  alarm_description = "Fewer tasks of ${local.worker_name} run than should, for ten minutes. docs/runbook.md: A bad deploy"

  metric_query {
    id = "running"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "RunningTaskCount"
      dimensions = {
        ClusterName = aws_ecs_cluster.worker.name
        ServiceName = aws_ecs_service.worker.name
      }
      period = 60
      stat   = "Maximum"
    }

    return_data = false
  }

  metric_query {
    id = "desired"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "DesiredTaskCount"
      dimensions = {
        ClusterName = aws_ecs_cluster.worker.name
        ServiceName = aws_ecs_service.worker.name
      }
      period = 60
      stat   = "Maximum"
    }

    return_data = false
  }

  metric_query {
    id          = "missing"
    label       = "Tasks missing"
    expression  = "IF(FILL(desired, REPEAT) >= 0, FILL(desired - running, ${var.min_tasks}))"
    return_data = true
  }

  # Ten minutes out of fifteen: some counts are late or lost.
  evaluation_periods  = 15
  datapoints_to_alarm = 10
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "ignore"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

# What SQS's age leaves out: messages that are received again and again. It ends with the worker; the alarm on unattended
# messages does not.
resource "aws_cloudwatch_metric_alarm" "message_age" {
  alarm_name        = "${local.worker_name}-oldest-message-age"
  alarm_description = "The worker has messages of ${var.queue_name} older than ${var.oldest_message_age_seconds} s, retries included. Does not see messages that no worker has received. docs/runbook.md: The backlog grows"
  namespace         = "Drumline"
  metric_name       = "drumline_oldest_message_age_seconds"
  dimensions = {
    queue = var.queue_name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = var.oldest_message_age_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
