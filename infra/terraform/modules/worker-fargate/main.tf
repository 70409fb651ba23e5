# The consumer as a service on Fargate, with its log group. The queue is a module of its own. The cluster exists, with
# Container Insights on and the capacity providers FARGATE and FARGATE_SPOT.

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  worker_name = "${var.service_name}-worker"
  # The region by `id`: the provider's version 6 has renamed `name` to `region`.
  ecs_arn = "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"
  tags    = { "drumline:service" = var.service_name }
}

resource "aws_cloudwatch_log_group" "worker" {
  name              = "/drumline/${local.worker_name}"
  retention_in_days = var.log_retention_days

  tags = local.tags
}

resource "aws_ecs_task_definition" "worker" {
  family                   = local.worker_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task_cpu
  memory                   = var.task_memory_mb
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name      = "worker"
    image     = var.image_uri
    essential = true
    command   = ["run"]
    environment = [
      { name = "DRUMLINE_QUEUE_URL", value = var.queue_url },
      { name = "DRUMLINE_VISIBILITY_TIMEOUT", value = "${var.visibility_timeout_seconds}s" },
      { name = "DRUMLINE_CONCURRENCY", value = tostring(var.concurrency) },
      { name = "DRUMLINE_SHUTDOWN_GRACE", value = "${var.shutdown_grace_seconds}s" },
      { name = "DRUMLINE_HANDLER_TIMEOUT", value = "${var.handler_timeout_seconds}s" },
      # A handler may run longer than stop_timeout_seconds. While any does, ECS neither scales this task in nor replaces it
      # in a deployment. Spot interruptions come all the same.
      { name = "DRUMLINE_TASK_PROTECTION", value = "on" },
      { name = "DRUMLINE_LOG_FORMAT", value = "json" },
      { name = "DRUMLINE_SAMPLE_JOBS", value = var.sample_jobs },
    ]
    stopTimeout            = var.stop_timeout_seconds
    user                   = "65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters = {
      # The first process of a container has to reap what its handlers leave behind, and pass SIGTERM on.
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
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.worker.name
        "awslogs-region"        = data.aws_region.current.id
        "awslogs-stream-prefix" = "worker"
        # Lines are dropped rather than handlers held up while CloudWatch Logs is out of reach.
        "mode"            = "non-blocking"
        "max-buffer-size" = "25m"
      }
    }
  }])

  tags = local.tags
}

# A worker asks and is never asked, so nothing comes in. What a handler reaches on other ports needs a rule of its own.
resource "aws_security_group" "worker" {
  name_prefix = "drumline-worker-"
  description = "${local.worker_name}: out by HTTPS only"
  vpc_id      = var.vpc_id

  egress {
    description = "SQS, CloudWatch Logs and the registry of the image"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = local.tags
}

resource "aws_ecs_service" "worker" {
  name            = local.worker_name
  cluster         = var.cluster_name
  task_definition = aws_ecs_task_definition.worker.arn
  # Where it begins; from then on scaling decides.
  desired_count = var.min_tasks

  # The first task is never on Spot, so that there is a worker when Spot has no capacity.
  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = 1
    weight            = 1
  }

  capacity_provider_strategy {
    capacity_provider = "FARGATE_SPOT"
    base              = 0
    weight            = var.spot_weight
  }

  # Without it another spot_weight would replace the whole service.
  force_new_deployment = true

  network_configuration {
    assign_public_ip = false
    security_groups  = [aws_security_group.worker.id]
    subnets          = var.subnet_ids
  }

  # New tasks take over while the old ones finish what they have begun.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"
  tags                    = local.tags

  # Otherwise every deployment would undo what scaling has done.
  lifecycle {
    ignore_changes = [desired_count]
  }

  # Without its rights a task would fail at once, and the deployment be rolled back.
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
