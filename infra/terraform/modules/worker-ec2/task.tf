# The containers of a task: the worker, and an application beside it if there is one.

locals {
  has_store_table  = var.store_table_name != ""
  has_store_secret = !local.has_store_table && var.store_url_secret_arn != ""
  has_payloads     = var.payload_bucket != ""
  has_watch        = var.dead_letter_queue_arn != ""
  has_application  = var.application_image_uri != ""
  has_health       = var.application_health_command != ""
  application_url  = "http://127.0.0.1:${var.application_port}/"
  forward_to       = var.forward_to != "" ? var.forward_to : local.application_url
  store_url        = local.has_store_table ? "dynamodb://${var.store_table_name}" : var.store_url

  # What is not asked for is left out, so that the worker's own default holds.
  optional_settings = {
    DRUMLINE_DLQ_ALERT_TO    = { asked = local.has_watch, value = var.alarm_topic_arn }
    DRUMLINE_DLQ_WATCH       = { asked = local.has_watch, value = "on" }
    DRUMLINE_FORWARD_TO      = { asked = var.forward_to != "" || local.has_application, value = local.forward_to }
    DRUMLINE_PAYLOAD_BUCKETS = { asked = local.has_payloads, value = "${var.payload_bucket}/${var.payload_prefix}" }
    DRUMLINE_STORE_URL       = { asked = !local.has_store_secret, value = local.store_url }
  }

  settings = merge(
    {
      DRUMLINE_CONCURRENCY = tostring(var.concurrency)
      # Metrics in the log, from which CloudWatch reads them: the dashboard and alarms show them.
      DRUMLINE_EMF             = "on"
      DRUMLINE_HANDLER_TIMEOUT = "${var.handler_timeout_seconds}s"
      DRUMLINE_LOG_FORMAT      = "json"
      DRUMLINE_QUEUE_URL       = var.queue_url
      DRUMLINE_SAMPLE_JOBS     = var.sample_jobs
      DRUMLINE_SHUTDOWN_GRACE  = "${var.shutdown_grace_seconds}s"
      # A handler may run longer than stop_timeout_seconds. While any does, ECS neither scales this task in nor replaces it
      # in a deployment.
      DRUMLINE_TASK_PROTECTION    = "on"
      DRUMLINE_VISIBILITY_TIMEOUT = "${var.visibility_timeout_seconds}s"
    },
    { for name, setting in local.optional_settings : name => setting.value if setting.asked },
  )
  environment = concat(
    [for name, value in local.settings : { name = name, value = value }],
    [for name, value in var.environment : { name = name, value = value }],
  )

  store_secret = local.has_store_secret ? { DRUMLINE_STORE_URL = var.store_url_secret_arn } : {}
  secrets      = merge(var.secrets, local.store_secret)

  environment_files = var.environment_file_arn != "" ? [{ type = "s3", value = var.environment_file_arn }] : []

  log_options = {
    "awslogs-group"  = aws_cloudwatch_log_group.worker.name
    "awslogs-region" = data.aws_region.current.id
    # While CloudWatch Logs is unreachable, lines are dropped instead of delaying handlers.
    "mode"            = "non-blocking"
    "max-buffer-size" = "25m"
  }

  worker = {
    name                   = "worker"
    image                  = var.image_uri
    essential              = true
    command                = ["run"]
    environment            = local.environment
    stopTimeout            = var.stop_timeout_seconds
    user                   = "65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters = {
      # The first process of a container has to reap processes left by its handlers, and forward SIGTERM.
      initProcessEnabled = true
      capabilities       = { drop = ["ALL"] }
    }
    healthCheck = {
      # The exec form: the image has no shell.
      command     = ["CMD", "/usr/local/bin/drumline", "health"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 15
    }
    logConfiguration = {
      logDriver = "awslogs"
      options   = merge(local.log_options, { "awslogs-stream-prefix" = "worker" })
    }
  }

  # What the container has only in some cases. An empty list is as good as none.
  worker_options = {
    # Started after the application and, as ECS stops in the opposite order, stopped before it: messages that the worker has in hand
    # at SIGTERM still finds the application there.
    dependsOn = local.has_application ? [
      { containerName = "application", condition = local.has_health ? "HEALTHY" : "START" },
    ] : []
    environmentFiles = local.environment_files
    secrets          = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
  }

  # After a crash ECS starts it again in place, while the worker pauses. If it crashes again within a minute, ECS stops the
  # task: the worker drains, its messages are redelivered after their backoff, and the service starts another task. Were it
  # not essential, a worker without its application would stay for ever.
  application = {
    name          = "application"
    image         = var.application_image_uri
    essential     = true
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
    environment = [
      for name, value in merge({ PORT = tostring(var.application_port) }, var.environment) : { name = name, value = value }
    ]
    # Gives up on a start after this long, so that ECS tries another task.
    startTimeout = 120
    stopTimeout  = 30
    # The image decides about its user and its files.
    privileged      = false
    linuxParameters = { initProcessEnabled = true }
    logConfiguration = {
      logDriver = "awslogs"
      options   = merge(local.log_options, { "awslogs-stream-prefix" = "application" })
    }
  }

  application_options = {
    environmentFiles = local.environment_files
    secrets          = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
  }

  application_health = local.has_health ? [{
    command     = split(" ", "CMD ${var.application_health_command}")
    interval    = 10
    timeout     = 5
    retries     = 3
    startPeriod = 60
  }] : []
}

resource "aws_ecs_task_definition" "worker" {
  family                   = local.worker_name
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  cpu                      = var.task_cpu
  memory                   = var.task_memory_mb
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = var.architecture == "arm64" ? "ARM64" : "X86_64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode(concat(
    [merge(local.worker, { for name, list in local.worker_options : name => list if length(list) > 0 })],
    local.has_application ? [merge(
      local.application,
      { for name, list in local.application_options : name => list if length(list) > 0 },
      { for check in local.application_health : "healthCheck" => check },
    )] : [],
  ))

  tags = local.tags
}
