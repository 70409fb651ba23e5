resource "aws_appautoscaling_target" "worker" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.worker.name}/${aws_ecs_service.worker.name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
}

# Messages in flight count as backlog. Without them a service that has everything in hand would look idle and scale in
# under its own work.
resource "aws_appautoscaling_policy" "backlog" {
  name               = "${var.service_name}-backlog-per-task"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.worker.service_namespace
  scalable_dimension = aws_appautoscaling_target.worker.scalable_dimension
  resource_id        = aws_appautoscaling_target.worker.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.backlog_per_task
    # Out soon, in late: a task that was taken away too early is missed for longer than one kept too long is paid.
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      metrics {
        id    = "visible"
        label = "Messages waiting"

        metric_stat {
          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"

            dimensions {
              name  = "QueueName"
              value = var.queue_name
            }
          }

          stat = "Maximum"
        }

        return_data = false
      }

      metrics {
        id    = "inflight"
        label = "Messages in flight"

        metric_stat {
          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesNotVisible"

            dimensions {
              name  = "QueueName"
              value = var.queue_name
            }
          }

          stat = "Maximum"
        }

        return_data = false
      }

      metrics {
        id    = "running"
        label = "Tasks running"

        metric_stat {
          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.worker.name
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.worker.name
            }
          }

          stat = "Average"
        }

        return_data = false
      }

      # A queue that was idle for six hours has no metrics: that is 0. A running count that is late is the last one: taken
      # for 0, the whole backlog would fall to one task and the service jump to max_tasks.
      metrics {
        id          = "backlog"
        label       = "Backlog per task"
        expression  = "(FILL(visible, 0) + FILL(inflight, 0)) / IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)"
        return_data = true
      }
    }
  }
}

# With min_tasks 0. A few messages are no backlog to speak of, so target tracking leaves them where they are while nothing
# runs; this starts the first task for them.
resource "aws_appautoscaling_policy" "first_task" {
  name               = "${var.service_name}-first-task"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.worker.service_namespace
  scalable_dimension = aws_appautoscaling_target.worker.scalable_dimension
  resource_id        = aws_appautoscaling_target.worker.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    # Longer than a task takes to start and be counted, so that one start is one task.
    cooldown = 300

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

# Told by the queue, not by ECS, which has no metrics of a service without tasks: a worker that is there asks for messages
# several times a minute, or has some in flight.
resource "aws_cloudwatch_metric_alarm" "nobody_receives" {
  alarm_name        = "${local.worker_name}-first-task"
  alarm_description = "Messages of ${var.queue_name} wait and nobody receives. Starts a task; nobody has to do anything"

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
    id          = "unattended"
    label       = "Messages waiting while nobody receives"
    expression  = "IF(FILL(inflight, 0) + FILL(received, 0) + FILL(empty, 0) < 1, FILL(visible, 0), 0)"
    return_data = true
  }

  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.first_task.arn]
}
