# Container Insights sends nothing about a service without running tasks. Then min_tasks are missing.
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
    expression  = "FILL(desired, ${var.min_tasks}) - FILL(running, 0)"
    return_data = true
  }

  # Ten minutes out of twelve: the newest ones are not reported yet.
  evaluation_periods  = 12
  datapoints_to_alarm = 10
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
