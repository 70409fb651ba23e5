# The function that works on a queue, its event source mapping, its log group, and the alarms on its errors and
# throttles. The queue is a module of its own.

locals {
  function_name = "${var.service_name}-worker"
}

# Made here, before the function would make one itself that keeps everything forever.
resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days

  tags = { "drumline:service" = var.service_name }
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

resource "aws_iam_role_policy" "consume" {
  name = "consume"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
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
    ]
  })
}

resource "aws_lambda_function" "worker" {
  function_name = local.function_name
  description   = "Works on the messages of ${var.queue_name}"
  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = ["arm64"]
  s3_bucket     = var.code_s3_bucket
  s3_key        = var.code_s3_key
  role          = aws_iam_role.function.arn
  timeout       = var.timeout_seconds
  memory_size   = var.memory_mb

  environment {
    variables = {
      DRUMLINE_QUEUE_URL          = var.queue_url
      DRUMLINE_VISIBILITY_TIMEOUT = "${var.visibility_timeout_seconds}s"
      DRUMLINE_CONCURRENCY        = tostring(var.concurrency)
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_SAMPLE_JOBS        = var.sample_jobs
    }
  }

  # The function writes its log as JSON already; the service's own format would wrap each line once more.
  logging_config {
    log_group  = aws_cloudwatch_log_group.function.name
    log_format = "Text"
  }

  tracing_config {
    mode = var.tracing_mode
  }

  # No reserved_concurrent_executions: a throttled invocation burns a receive of every message in its batch, and healthy
  # messages end as dead letters. The mapping's maximum_concurrency is the limit that costs nothing.
  # No dead_letter_config: it is for asynchronous invocations. The queue has its own.
  tags = { "drumline:service" = var.service_name }

  # Without its rights the first batches would fail.
  depends_on = [aws_iam_role_policy.consume]
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn                   = var.queue_arn
  function_name                      = aws_lambda_function.worker.arn
  enabled                            = true
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batch_window_seconds
  # Without it Lambda ignores which messages failed, and deletes them all.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  # No filter_criteria: what a filter leaves out is deleted unseen.
  tags = { "drumline:service" = var.service_name }
}
