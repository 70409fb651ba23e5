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

# The permissions of the worker, its handlers and the application beside it. ECS has no roles for single containers.
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
    Statement = concat([
      # No sending: SQS itself moves messages to the dead-letter queue, which is read only if dead_letter_queue_arn is given.
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
        Resource = "${local.ecs_arn}:task/${aws_ecs_cluster.worker.name}/*"
      },
      ],
      # Its transactions are of updates, which need no action of their own.
      local.has_store_table ? [{
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = "arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:table/${var.store_table_name}"
      }] : [],
      var.kms_key_arn != "" ? [{
        Sid       = "Decrypt"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${data.aws_region.current.id}.amazonaws.com" } }
      }] : [],
      length(var.secret_arns) > 0 ? [{
        Sid      = "ReadSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.secret_arns
      }] : [],
      var.secrets_kms_key_arn != "" ? [{
        Sid       = "DecryptSecrets"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.secrets_kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${data.aws_region.current.id}.amazonaws.com" } }
      }] : [],
      # The depth, and reads of letters, which are released at once. Nothing is deleted or sent.
      local.has_watch ? [
        {
          Sid      = "WatchDeadLetters"
          Effect   = "Allow"
          Action   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"]
          Resource = var.dead_letter_queue_arn
        },
      ] : [],
      local.has_watch ? [
        {
          Sid      = "ReportDeadLetters"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = var.alarm_topic_arn
        },
      ] : [],
      local.has_payloads ? [
        {
          Sid      = "ReadPayloads"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "arn:${data.aws_partition.current.partition}:s3:::${var.payload_bucket}/${var.payload_prefix}*"
        },
        # Without it S3 reports a missing object as access denied.
        {
          Sid      = "NoticeMissingPayloads"
          Effect   = "Allow"
          Action   = "s3:ListBucket"
          Resource = "arn:${data.aws_partition.current.partition}:s3:::${var.payload_bucket}"
        },
      ] : [],
    )
  })
}

# By their number, since the ARN of a policy of the same configuration is not known when Terraform plans.
resource "aws_iam_role_policy_attachment" "extra" {
  count = length(var.extra_policy_arns)

  role       = aws_iam_role.task.name
  policy_arn = var.extra_policy_arns[count.index]
}

# The permissions of ECS to start a task. The worker never has them.
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
    Statement = concat([
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
      ],
      local.has_store_secret ? [{
        Sid      = "ReadStoreUrl"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.store_url_secret_arn
      }] : [],
      var.environment_file_arn != "" ? [
        {
          Sid      = "ReadEnvironmentFile"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = var.environment_file_arn
        },
        {
          Sid      = "FindEnvironmentFile"
          Effect   = "Allow"
          Action   = "s3:GetBucketLocation"
          Resource = split("/", var.environment_file_arn)[0]
        },
      ] : [],
      length(var.secrets) > 0 ? [{
        Sid      = "ReadInjectedSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = values(var.secrets)
      }] : [],
      var.secrets_kms_key_arn != "" ? [{
        Sid      = "DecryptSettings"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secrets_kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = [
          "secretsmanager.${data.aws_region.current.id}.amazonaws.com",
          "s3.${data.aws_region.current.id}.amazonaws.com",
        ] } }
      }] : [],
    )
  })
}
