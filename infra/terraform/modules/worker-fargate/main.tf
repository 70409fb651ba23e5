# The consumer as a service on Fargate, with its log group. The queue is a separate module. The cluster exists, with
# Container Insights on and the capacity providers FARGATE and FARGATE_SPOT. What a task consists of is in task.tf.

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

# A worker sends requests and receives none, so there is no ingress. security_group_ids allow egress to other ports.
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
    assign_public_ip = var.assign_public_ip == "ENABLED"
    security_groups  = concat([aws_security_group.worker.id], var.security_group_ids)
    subnets          = var.subnet_ids
  }

  # New tasks take over while the old ones finish their jobs.
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
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution, aws_iam_role_policy_attachment.extra]
}
