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
    target_value = var.acceptable_wait_seconds
    # Longer than a task takes to start and be counted: until then the wait is computed for too few tasks. In late: a task
    # that is missed costs more than one that is kept too long.
    scale_out_cooldown = 180
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

      # A late count is replaced by the last one. Without any count there are no points, and the service keeps its tasks.
      metrics {
        id          = "tasks"
        label       = "Tasks that share the backlog"
        expression  = "IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)"
        return_data = false
      }

      # Only in minutes of which the waiting messages are known. Elsewhere the divisions by it drop their points, where
      # FILL(visible, 0) would make the newest point 0 for as long as SQS's metrics are late.
      metrics {
        id          = "slots"
        label       = "Handlers that can run at once"
        expression  = "${var.concurrency} * IF(visible >= 0, tasks)"
        return_data = false
      }

      metrics {
        id          = "wait"
        label       = "Expected wait in seconds"
        expression  = "SUM([visible, FILL(inflight, REPEAT)]) * ${var.mean_handler_seconds} / slots"
        return_data = false
      }

      # Tasks that keep up with their messages leave none waiting, however many they are. So tasks go only as far as the
      # others can run what is in flight.
      metrics {
        id          = "busy"
        label       = "Part of the handlers in use"
        expression  = "FILL(inflight, REPEAT) / slots"
        return_data = false
      }

      metrics {
        id          = "held"
        label       = "The same as a part of the acceptable wait"
        expression  = "IF(busy < 1, busy, 1) * ${var.acceptable_wait_seconds}"
        return_data = false
      }

      metrics {
        id          = "load"
        label       = "Expected wait, or the acceptable one as far as handlers are in use"
        expression  = "MAX([wait, held])"
        return_data = true
      }
    }
  }
}

# Target tracking waits for three minutes in a row. This policy acts on the first, with the same expected wait.
resource "aws_appautoscaling_policy" "fast" {
  name               = "${var.service_name}-fast"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.worker.service_namespace
  scalable_dimension = aws_appautoscaling_target.worker.scalable_dimension
  resource_id        = aws_appautoscaling_target.worker.resource_id

  step_scaling_policy_configuration {
    adjustment_type          = "PercentChangeInCapacity"
    min_adjustment_magnitude = 1
    metric_aggregation_type  = "Maximum"
    # The new tasks have to be counted and the old points have to leave the alarm before another step.
    cooldown = 600

    # Up to twice, up to four times the acceptable wait, and more. max_tasks limits all of them.
    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 1
      scaling_adjustment          = 100
    }

    step_adjustment {
      metric_interval_lower_bound = 1
      metric_interval_upper_bound = 3
      scaling_adjustment          = 300
    }

    step_adjustment {
      metric_interval_lower_bound = 3
      scaling_adjustment          = 900
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "wait" {
  alarm_name        = "${local.worker_name}-wait"
  alarm_description = "Messages of ${var.queue_name} are expected to wait longer than ${var.acceptable_wait_seconds} s. Starts tasks; no action is needed"

  metric_query {
    id    = "visible"
    label = "Messages waiting"

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
    id    = "inflight"
    label = "Messages in flight"

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
    id    = "running"
    label = "Tasks running"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "RunningTaskCount"
      dimensions = {
        ClusterName = aws_ecs_cluster.worker.name
        ServiceName = aws_ecs_service.worker.name
      }
      period = 60
      stat   = "Average"
    }

    return_data = false
  }

  metric_query {
    id          = "tasks"
    label       = "Tasks that share the backlog"
    expression  = "IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)"
    return_data = false
  }

  metric_query {
    id          = "slots"
    label       = "Handlers that can run at once"
    expression  = "${var.concurrency} * IF(visible >= 0, tasks)"
    return_data = false
  }

  metric_query {
    id          = "wait"
    label       = "Expected wait in seconds"
    expression  = "SUM([visible, FILL(inflight, REPEAT)]) * ${var.mean_handler_seconds} / slots"
    return_data = false
  }

  metric_query {
    id          = "pressure"
    label       = "Expected wait as a multiple of the acceptable wait"
    expression  = "wait / ${var.acceptable_wait_seconds}"
    return_data = true
  }

  evaluation_periods  = 3
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.fast.arn]
}

# With min_tasks 0. A few messages are no backlog to speak of, and a percentage of no tasks is none, so the other policies
# leave the service at zero; this starts the first task.
resource "aws_appautoscaling_policy" "first_task" {
  name               = "${var.service_name}-first-task"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.worker.service_namespace
  scalable_dimension = aws_appautoscaling_target.worker.scalable_dimension
  resource_id        = aws_appautoscaling_target.worker.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    # Longer than a task takes to start and be seen and its message's points take to leave the alarm: one start, one task.
    cooldown = 900

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

# A worker that runs polls several times a minute, or has messages in flight. Late points are the last ones here: taken for
# 0, a busy service would get one more task after the other.
resource "aws_cloudwatch_metric_alarm" "nobody_receives" {
  alarm_name        = "${local.worker_name}-first-task"
  alarm_description = "Messages of ${var.queue_name} wait and no task runs. Starts a task; no action is needed"

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

  # SQS may leave out zeros, so the sum begins with a 0 in every minute of which the waiting messages are known.
  metric_query {
    id          = "activity"
    expression  = "SUM([visible * 0, FILL(inflight, REPEAT), FILL(received, REPEAT), FILL(empty, REPEAT), FILL(running, REPEAT)])"
    return_data = false
  }

  metric_query {
    id          = "idle"
    expression  = "IF(activity < 1, 1, 0)"
    return_data = false
  }

  # Without a point in minutes in which the waiting messages are not known yet.
  metric_query {
    id          = "unattended"
    label       = "1 while messages wait and no task runs"
    expression  = "IF(visible >= 1, idle, 0)"
    return_data = true
  }

  evaluation_periods  = 5
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.first_task.arn]
}
