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

  mock_resource "aws_security_group" {
    defaults = {
      id = "sg-00000000000000000"
    }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = {
      arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/jobs-worker:1"
    }
  }

  mock_resource "aws_iam_instance_profile" {
    defaults = {
      arn = "arn:aws:iam::123456789012:instance-profile/worker"
    }
  }

  mock_resource "aws_autoscaling_group" {
    defaults = {
      arn = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/jobs-worker"
    }
  }

  mock_resource "aws_appautoscaling_policy" {
    defaults = {
      arn = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:resource/ecs/service/jobs-worker/jobs-worker:policyName/first"
    }
  }
}

variables {
  queue_arn       = "arn:aws:sqs:eu-west-1:123456789012:jobs"
  queue_url       = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
  queue_name      = "jobs"
  vpc_id          = "vpc-0123456789abcdef0"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  image_uri       = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/drumline:0.1.0"
  alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
  # The queue's own default.
  store_table_name = "jobs-store"
}

run "the_worker_is_told_what_its_variables_say" {
  command = plan

  variables {
    visibility_timeout_seconds = 600
    concurrency                = 8
    stop_timeout_seconds       = 3600
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
      DRUMLINE_EMF                = "on"
      DRUMLINE_SHUTDOWN_GRACE     = "40s"
      DRUMLINE_HANDLER_TIMEOUT    = "900s"
      DRUMLINE_TASK_PROTECTION    = "on"
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_SAMPLE_JOBS        = ""
      DRUMLINE_STORE_URL          = "dynamodb://jobs-store"
    }
    error_message = "The settings come from the variables."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].stopTimeout == 3600
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

}

run "the_task_role_consumes_protects_its_own_tasks_and_uses_the_store" {
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
        Resource = "arn:aws:ecs:eu-west-1:123456789012:task/jobs-worker/*"
      },
      {
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs-store"
      },
    ]
    error_message = "The task role has a consumer's rights, one about the cluster's tasks, and those on the store."
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

run "scaling_goes_by_the_expected_wait" {
  command = plan

  variables {
    acceptable_wait_seconds = 300
    mean_handler_seconds    = 0.25
    concurrency             = 8
  }

  assert {
    condition     = aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].target_value == 300
    error_message = "The target is the acceptable wait."
  }

  assert {
    condition = {
      for metric in aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].metrics :
      metric.id => metric.expression if contains(["slots", "wait"], metric.id)
      } == {
      slots = "8 * IF(visible >= 0, tasks)"
      wait  = "SUM([visible, FILL(inflight, REPEAT)]) * 0.25 / slots"
    }
    error_message = "The expected wait is the messages times the handling time, divided by what runs at once."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.wait.alarm_actions == toset([aws_appautoscaling_policy.fast.arn])
    error_message = "The first minute of a long wait triggers the fast policy."
  }

  assert {
    condition = alltrue([
      for query in aws_cloudwatch_metric_alarm.unattended.metric_query :
      alltrue([for metric in query.metric : metric.namespace == "AWS/SQS"])
    ])
    error_message = "The alarm on unattended messages reads SQS's metrics only."
  }
}

run "a_wait_shorter_than_a_handler_is_refused" {
  command = plan

  variables {
    acceptable_wait_seconds = 10
    mean_handler_seconds    = 9
  }

  expect_failures = [var.acceptable_wait_seconds]
}

run "a_grace_that_does_not_fit_the_stop_timeout_is_refused" {
  command = plan

  variables {
    stop_timeout_seconds   = 305
    shutdown_grace_seconds = 301
  }

  expect_failures = [var.shutdown_grace_seconds]
}

run "an_image_without_a_version_is_refused" {
  command = plan

  variables {
    image_uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/drumline:latest"
  }

  expect_failures = [var.image_uri]
}

run "an_application_is_beside_the_worker_and_stops_after_it" {
  command = plan

  variables {
    application_image_uri      = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1.4.2"
    application_health_command = "/usr/bin/wget -q -O- http://127.0.0.1:8080/health"
    environment                = { STAGE = "test" }
    secrets                    = { API_KEY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-AbCdEf" }
  }

  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.worker.container_definitions) : [container.name, container.essential]] == [["worker", true], ["application", true]]
    error_message = "There are two containers, and both are essential."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].dependsOn == [{ containerName = "application", condition = "HEALTHY" }]
    error_message = "The worker starts when the application is healthy, and stops before it."
  }

  assert {
    condition = [
      for setting in jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].environment :
      setting.value if setting.name == "DRUMLINE_FORWARD_TO"
    ] == ["http://127.0.0.1:8080/"]
    error_message = "Messages go to the application."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[1].healthCheck.command == ["CMD", "/usr/bin/wget", "-q", "-O-", "http://127.0.0.1:8080/health"]
    error_message = "The application's health is asked without a shell."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[1].restartPolicy.enabled
    error_message = "The application is started again in place."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[1].environment == [{ name = "PORT", value = "8080" }, { name = "STAGE", value = "test" }]
    error_message = "The application knows its port and what else is set."
  }

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.worker.container_definitions) :
      container.secrets == [{ name = "API_KEY", valueFrom = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-AbCdEf" }]
    ])
    error_message = "Secrets come by reference."
  }
}

run "optional_parts_come_with_their_rights" {
  command = plan

  variables {
    store_table_name      = ""
    store_url_secret_arn  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:store-AbCdEf"
    environment_file_arn  = "arn:aws:s3:::settings/worker.env"
    secret_arns           = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:smtp-AbCdEf"]
    extra_policy_arns     = ["arn:aws:iam::123456789012:policy/handlers"]
    kms_key_arn           = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
    secrets_kms_key_arn   = "arn:aws:kms:eu-west-1:123456789012:key/89abcdef-89ab-cdef-0123-456789abcdef"
    security_group_ids    = ["sg-0123456789abcdef0", "sg-0123456789abcdef1"]
    dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq"
    architecture          = "x86_64"
    instance_type         = "m7i.large"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Sid] == ["Consume", "ProtectItself", "Decrypt", "ReadSecrets", "DecryptSecrets", "WatchDeadLetters", "ReportDeadLetters"]
    error_message = "The task role has what the parts need."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid] == ["Authorize", "Pull", "Log", "ReadStoreUrl", "ReadEnvironmentFile", "FindEnvironmentFile", "DecryptSettings"]
    error_message = "The execution role may read what a task starts with."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : [statement.Resource, statement.Condition.StringEquals["kms:ViaService"]]
      if statement.Sid == "DecryptSettings"
      ] == [[
        "arn:aws:kms:eu-west-1:123456789012:key/89abcdef-89ab-cdef-0123-456789abcdef",
        ["secretsmanager.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"],
    ]]
    error_message = "The key of secrets and settings is used through the services that keep them."
  }

  assert {
    condition     = aws_ecs_service.worker.network_configuration[0].security_groups == toset(["sg-00000000000000000", "sg-0123456789abcdef0", "sg-0123456789abcdef1"])
    error_message = "Tasks have their own security group, and those that are given."
  }

  assert {
    condition = alltrue([
      for setting in jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].environment : setting.name != "DRUMLINE_STORE_URL"
    ])
    error_message = "A store's URL from a secret is not in plain text."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].secrets[0].name == "DRUMLINE_STORE_URL"
    error_message = "The store's URL comes from the secret."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].environmentFiles == [{ type = "s3", value = "arn:aws:s3:::settings/worker.env" }]
    error_message = "The file is the worker's."
  }

  assert {
    condition     = aws_ecs_task_definition.worker.runtime_platform[0].cpu_architecture == "X86_64"
    error_message = "The architecture is as asked for."
  }
}

run "two_stores_are_refused" {
  command = plan

  variables {
    store_url_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:store-AbCdEf"
  }

  expect_failures = [var.store_table_name]
}

run "a_store_with_a_password_in_plain_text_is_refused" {
  command = plan

  variables {
    store_table_name = ""
    store_url        = "redis://worker:secret@cache:6379"
  }

  expect_failures = [var.store_url]
}

run "a_store_in_a_file_is_refused" {
  command = plan

  variables {
    store_table_name = ""
    store_url        = "file:/var/lib/drumline/jobs.db"
  }

  expect_failures = [var.store_url]
}

run "a_large_task_is_of_a_size_that_exists" {
  command = plan

  variables {
    task_cpu       = 4096
    task_memory_mb = 16384
    instance_type  = "r7g.xlarge"
  }

  assert {
    condition     = [aws_ecs_task_definition.worker.cpu, aws_ecs_task_definition.worker.memory] == ["4096", "16384"]
    error_message = "A task may have four processors."
  }
}

run "a_task_that_fits_no_instance_is_refused" {
  command = plan

  variables {
    task_cpu       = 4096
    task_memory_mb = 8192
  }

  # m7g.large has two processors and 8 GiB, of which the system needs some.
  expect_failures = [var.instance_type]
}

run "a_health_command_without_an_application_is_refused" {
  command = plan

  variables {
    application_health_command = "/bin/true"
  }

  expect_failures = [var.application_health_command]
}

run "a_setting_that_has_a_variable_is_refused_in_the_environment" {
  command = plan

  variables {
    environment = { DRUMLINE_CONCURRENCY = "64" }
  }

  expect_failures = [var.environment]
}

run "instances_come_and_go_with_the_tasks" {
  command = plan

  assert {
    condition     = !coalesce(aws_autoscaling_group.worker.protect_from_scale_in, false) && aws_autoscaling_group.worker.min_size == 0 && aws_autoscaling_group.worker.max_size == 10
    error_message = "Instances can go with the group, and ECS decides how many there are."
  }

  assert {
    condition     = [for provider in aws_ecs_capacity_provider.worker.auto_scaling_group_provider : [provider.managed_termination_protection, provider.managed_draining]] == [["DISABLED", "ENABLED"]]
    error_message = "A terminating instance is kept until its tasks have stopped, and only for that."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.worker.user_data), "ECS_CLUSTER=jobs-worker\nECS_AWSVPC_BLOCK_IMDS=true\n")
    error_message = "Instances join the cluster, and tasks do not reach their credentials."
  }

  assert {
    condition     = aws_launch_template.worker.image_id == "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
    error_message = "Instances have the newest image for arm64."
  }
}

run "an_instance_of_another_architecture_is_refused" {
  command = plan

  variables {
    architecture = "x86_64"
  }

  expect_failures = [var.instance_type]
}
