# What the function may do.

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  # The region by `id`: the provider's version 6 has renamed `name` to `region`.
  dynamodb_arn = "arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"
  lambda_arn   = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"

  vpc_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
}

resource "aws_iam_role" "function" {
  name_prefix = "drumline-worker-"
  description = "What ${local.function_name} may do"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = { "drumline:service" = var.service_name }
}

# One policy for all of it: with a policy for each part, a key or a table of the same configuration would be unknown where
# Terraform has to count them.
resource "aws_iam_role_policy" "consume" {
  name = "consume"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        # The managed role for SQS lacks ChangeMessageVisibility, without which there is no backoff. No sending, and nothing
        # on the dead-letter queue: SQS itself moves messages there.
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
        # The provider's ARN of a log group has no `:*` behind it, which stands for its streams.
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.function.arn}:*"
        },
        # X-Ray knows no resources to name.
        {
          Sid      = "Trace"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = "*"
        },
      ],
      # The store's requests, including transactions.
      var.store_table_name == "" ? [] : [{
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = "${local.dynamodb_arn}:table/${var.store_table_name}"
      }],
      length(var.secret_arns) == 0 ? [] : [{
        Sid      = "ReadSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.secret_arns
      }],
      # SQS decrypts on behalf of the receiver.
      var.kms_key_arn == "" ? [] : [{
        Sid       = "Decrypt"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${data.aws_region.current.id}.amazonaws.com" } }
      }],
      # Lambda puts the function into the VPC with the function's own role. The second statement keeps the handlers from doing
      # the same: only their requests carry the function's ARN.
      length(var.subnet_ids) == 0 ? [] : [{
        Sid      = "JoinVpc"
        Effect   = "Allow"
        Action   = local.vpc_actions
        Resource = "*"
      }],
      length(var.subnet_ids) == 0 ? [] : [{
        Sid       = "NotTheHandlers"
        Effect    = "Deny"
        Action    = local.vpc_actions
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "${local.lambda_arn}:function:${local.function_name}" } }
      }],
      var.payload_bucket == "" ? [] : [
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
      ],
    )
  })
}

# By their number, since the ARN of a policy of the same configuration is not known when Terraform plans.
resource "aws_iam_role_policy_attachment" "extra" {
  count = length(var.extra_policy_arns)

  role       = aws_iam_role.function.name
  policy_arn = var.extra_policy_arns[count.index]
}
