locals {
  # Only on behalf of this account's tasks.
  assumed_by_tasks = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike      = { "aws:SourceArn" = "${local.ecs_arn}:*" }
      }
    }]
  }
}

# What the worker may do. A handler's own permissions are added to this one.
resource "aws_iam_role" "task" {
  name_prefix        = "drumline-task-"
  description        = "What ${local.worker_name} may do"
  assume_role_policy = jsonencode(local.assumed_by_tasks)

  tags = local.tags
}

resource "aws_iam_role_policy" "task" {
  name = "consume"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # No sending, and nothing on the dead-letter queue: SQS itself moves messages there.
      {
        Sid    = "Consume"
        Effect = "Allow"
        Action = [
          "sqs:ReceiveMessage",
          "sqs:DeleteMessage",
          "sqs:ChangeMessageVisibility",
          "sqs:GetQueueAttributes",
        ]
        Resource = var.queue_arn
      },
      # A task protects itself while it is busy. A task's id is not known in advance, its cluster is.
      {
        Sid      = "ProtectItself"
        Effect   = "Allow"
        Action   = "ecs:UpdateTaskProtection"
        Resource = "${local.ecs_arn}:task/${var.cluster_name}/*"
      },
    ]
  })
}

# What ECS may do in order to start a task. The worker never has it.
resource "aws_iam_role" "execution" {
  name_prefix        = "drumline-execution-"
  description        = "What ECS may do in order to start ${local.worker_name}"
  assume_role_policy = jsonencode(local.assumed_by_tasks)

  tags = local.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # A token is for the whole registry and has no resource to name.
      {
        Sid      = "Authorize"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${data.aws_partition.current.partition}:ecr:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:repository/*"
      },
      # The provider's ARN of a log group has no `:*` behind it, which stands for its streams.
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.worker.arn}:*"
      },
    ]
  })
}
