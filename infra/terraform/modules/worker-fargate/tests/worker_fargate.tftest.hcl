mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }

  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/worker"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/drumline/jobs-worker"
    }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = {
      arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/jobs-worker:1"
    }
  }

  mock_resource "aws_appautoscaling_policy" {
    defaults = {
      arn = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:resource/ecs/service/main/jobs-worker:policyName/first"
    }
  }
}

variables {
  queue_arn       = "arn:aws:sqs:eu-west-1:123456789012:jobs"
  queue_url       = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
  queue_name      = "jobs"
  cluster_name    = "main"
  vpc_id          = "vpc-0123456789abcdef0"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  image_uri       = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/drumline:0.1.0"
  alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "the_worker_is_told_what_its_variables_say" {
  command = plan

  variables {
    visibility_timeout_seconds = 600
    concurrency                = 8
    stop_timeout_seconds       = 90
    shutdown_grace_seconds     = 40
  }

  assert {
    condition = {
      for setting in jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].environment :
      setting.name => setting.value
      } == {
      DRUMLINE_QUEUE_URL          = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
      DRUMLINE_VISIBILITY_TIMEOUT = "600s"
      DRUMLINE_CONCURRENCY        = "8"
      DRUMLINE_SHUTDOWN_GRACE     = "40s"
      DRUMLINE_HANDLER_TIMEOUT    = "900s"
      DRUMLINE_TASK_PROTECTION    = "on"
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_SAMPLE_JOBS        = ""
    }
    error_message = "The settings come from the variables."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].stopTimeout == 90
    error_message = "The container is killed when the stop timeout is over."
  }
}

run "the_container_can_do_little_harm" {
  command = plan

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.worker.container_definitions) :
      container.readonlyRootFilesystem && !container.privileged && container.user == "65532" &&
      container.linuxParameters.initProcessEnabled && container.healthCheck.command[0] == "CMD"
    ])
    error_message = "Read-only, without privileges, with an init process and a health check without a shell."
  }

  assert {
    condition     = [for rule in aws_security_group.worker.egress : [rule.protocol, rule.from_port, rule.to_port]] == [["tcp", 443, 443]]
    error_message = "Only HTTPS goes out."
  }

  assert {
    condition     = aws_ecs_service.worker.network_configuration[0].assign_public_ip == false
    error_message = "Tasks have no public address."
  }
}

run "the_task_role_consumes_and_protects_its_own_tasks" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.task.policy).Statement == [
      {
        Sid    = "Consume"
        Effect = "Allow"
        Action = [
          "sqs:ReceiveMessage",
          "sqs:DeleteMessage",
          "sqs:ChangeMessageVisibility",
          "sqs:GetQueueAttributes",
        ]
        Resource = "arn:aws:sqs:eu-west-1:123456789012:jobs"
      },
      {
        Sid      = "ProtectItself"
        Effect   = "Allow"
        Action   = "ecs:UpdateTaskProtection"
        Resource = "arn:aws:ecs:eu-west-1:123456789012:task/main/*"
      },
    ]
    error_message = "The task role has a consumer's rights, and one about the cluster's tasks."
  }
}

run "the_first_task_is_on_demand" {
  command = plan

  variables {
    spot_weight = 4
  }

  assert {
    condition = {
      for strategy in aws_ecs_service.worker.capacity_provider_strategy : strategy.capacity_provider => [strategy.base, strategy.weight]
      } == {
      FARGATE      = [1, 1]
      FARGATE_SPOT = [0, 4]
    }
    error_message = "Spot comes after a base of one task on demand."
  }
}

run "scaling_keeps_to_its_bounds_and_starts_from_nothing" {
  command = plan

  variables {
    min_tasks = 0
    max_tasks = 20
  }

  assert {
    condition     = [aws_appautoscaling_target.worker.min_capacity, aws_appautoscaling_target.worker.max_capacity] == [0, 20]
    error_message = "The scalable target's bounds are the variables'."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.nobody_receives.alarm_actions == toset([aws_appautoscaling_policy.first_task.arn])
    error_message = "The first message starts a task."
  }

  assert {
    condition = length([
      for metric in aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].metrics :
      metric if metric.return_data
    ]) == 1
    error_message = "Exactly one metric is tracked."
  }
}

run "fewer_tasks_at_most_than_at_least_are_refused" {
  command = plan

  variables {
    min_tasks = 5
    max_tasks = 4
  }

  expect_failures = [var.max_tasks]
}

run "a_backlog_that_busy_tasks_alone_make_up_is_refused" {
  command = plan

  variables {
    concurrency      = 64
    backlog_per_task = 64
  }

  expect_failures = [var.backlog_per_task]
}

run "a_grace_that_does_not_fit_the_stop_timeout_is_refused" {
  command = plan

  variables {
    stop_timeout_seconds   = 30
    shutdown_grace_seconds = 26
  }

  expect_failures = [var.shutdown_grace_seconds]
}

run "memory_that_does_not_go_with_the_processor_is_refused" {
  command = plan

  variables {
    task_cpu       = 256
    task_memory_mb = 3072
  }

  expect_failures = [var.task_memory_mb]
}

run "an_image_without_a_version_is_refused" {
  command = plan

  variables {
    image_uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/drumline:latest"
  }

  expect_failures = [var.image_uri]
}
