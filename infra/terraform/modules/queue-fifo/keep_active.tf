# SQS stops reporting metrics of a queue that was idle for six hours. A schedule uses the queue in time.

data "aws_caller_identity" "current" {
  count = local.keeps_active ? 1 : 0
}

data "aws_partition" "current" {}

locals {
  keeps_active = var.keep_queue_active == "on"
}

# The schedule may only write tags.
resource "aws_iam_role" "keep_active" {
  count = local.keeps_active ? 1 : 0

  name = "${var.service_name}-fifo-keep-active"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current[0].account_id } }
    }]
  })

  tags = { "drumline:service" = var.service_name }
}

resource "aws_iam_role_policy" "keep_active" {
  count = local.keeps_active ? 1 : 0

  name = "keep-active"
  role = aws_iam_role.keep_active[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "TagQueue"
      Effect   = "Allow"
      Action   = "sqs:TagQueue"
      Resource = aws_sqs_queue.jobs.arn
    }]
  })
}

# EventBridge Scheduler makes no calls that only read, such as GetQueueAttributes, so this one writes a tag that the queue
# has already.
resource "aws_scheduler_schedule" "keep_active" {
  count = local.keeps_active ? 1 : 0

  name                = "${var.service_name}-fifo-keep-active"
  description         = "Keeps SQS reporting the metrics of ${local.queue_name}"
  schedule_expression = "rate(3 hours)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${data.aws_partition.current.partition}:scheduler:::aws-sdk:sqs:tagQueue"
    role_arn = aws_iam_role.keep_active[0].arn
    input = jsonencode({
      QueueUrl = aws_sqs_queue.jobs.url
      Tags     = { "drumline:service" = var.service_name }
    })

    retry_policy {
      maximum_retry_attempts = 5
    }
  }
}
