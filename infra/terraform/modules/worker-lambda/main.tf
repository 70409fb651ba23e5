# The function that works on a queue, its event source mapping, its log group, and the alarms on its errors and
# throttles. The queue is a separate module.

locals {
  function_name = "${var.service_name}-worker"
}

# Created here, because the function would create one that keeps everything for ever.
resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days

  tags = { "drumline:service" = var.service_name }
}

resource "aws_lambda_function" "worker" {
  function_name = local.function_name
  description   = "Processes the messages of ${var.queue_name}"
  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  s3_bucket     = var.code_s3_bucket
  s3_key        = var.code_s3_key
  role          = aws_iam_role.function.arn
  timeout       = var.timeout_seconds
  memory_size   = var.memory_mb

  environment {
    variables = merge({
      DRUMLINE_QUEUE_URL          = var.queue_url
      DRUMLINE_VISIBILITY_TIMEOUT = "${var.visibility_timeout_seconds}s"
      DRUMLINE_CONCURRENCY        = tostring(var.concurrency)
      DRUMLINE_STORE_URL          = var.store_table_name == "" ? var.store_url : "dynamodb://${var.store_table_name}"
      DRUMLINE_FORWARD_TO         = var.forward_to
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_PAYLOAD_BUCKETS    = var.payload_bucket == "" ? "" : "${var.payload_bucket}/${var.payload_prefix}"
      DRUMLINE_SAMPLE_JOBS        = var.sample_jobs
    }, var.environment)
  }

  # The provider requires a format with a log group of one's own. The function writes its log as JSON in either.
  logging_config {
    log_group  = aws_cloudwatch_log_group.function.name
    log_format = "Text"
  }

  tracing_config {
    mode = var.tracing_mode
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) == 0 ? [] : [true]
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # No reserved_concurrent_executions: a throttled invocation uses up a receive of every message in its batch, and healthy
  # messages end as dead letters. The mapping's maximum_concurrency limits without that cost.
  # No dead_letter_config: it is for asynchronous invocations. The queue has its own.
  tags = { "drumline:service" = var.service_name }

  # Without its rights the first batches would fail, and Lambda could not put the function into the VPC.
  depends_on = [aws_iam_role_policy.consume, aws_iam_role_policy_attachment.extra]
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn                   = var.queue_arn
  function_name                      = aws_lambda_function.worker.arn
  enabled                            = true
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batch_window_seconds
  # Without it Lambda ignores the list of failed messages, and deletes all of them.
  function_response_types = ["ReportBatchItemFailures"]

  # One of the two: Lambda refuses both.
  dynamic "scaling_config" {
    for_each = var.minimum_pollers == 0 ? [true] : []
    content {
      maximum_concurrency = var.maximum_concurrency
    }
  }

  dynamic "provisioned_poller_config" {
    for_each = var.minimum_pollers == 0 ? [] : [true]
    content {
      minimum_pollers = var.minimum_pollers
      maximum_pollers = var.maximum_pollers
    }
  }

  # The numbers of messages polled, invoked with, deleted and dropped: by default Lambda does not count them.
  metrics_config {
    metrics = ["EventCount"]
  }

  # No filter_criteria: what a filter leaves out is deleted unseen.
  tags = { "drumline:service" = var.service_name }
}
