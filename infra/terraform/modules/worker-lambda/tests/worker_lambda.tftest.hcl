mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/worker"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/jobs-worker"
    }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn = "arn:aws:lambda:eu-west-1:123456789012:function:jobs-worker"
    }
  }
}

variables {
  queue_arn       = "arn:aws:sqs:eu-west-1:123456789012:jobs"
  queue_url       = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
  queue_name      = "jobs"
  code_s3_bucket  = "artifacts"
  code_s3_key     = "drumline-lambda/0.1.0.zip"
  alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "only_failed_messages_of_a_batch_come_back" {
  command = plan

  assert {
    condition     = aws_lambda_event_source_mapping.queue.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "The mapping reads which messages failed."
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.queue.filter_criteria) == 0
    error_message = "No filter deletes messages unseen."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue.scaling_config[0].maximum_concurrency == 10
    error_message = "The mapping limits how many batches are under way."
  }
}

run "the_role_consumes_and_does_nothing_else_with_queues" {
  command = plan

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.consume.policy).Statement :
      [for action in statement.Action : action if startswith(action, "sqs:")]
    ])) == toset(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"])
    error_message = "The role has the four rights of a consumer."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.consume.policy).Statement[0].Resource == var.queue_arn
    error_message = "The role's rights are on the queue."
  }
}

run "the_function_is_told_what_the_queue_is" {
  command = plan

  variables {
    visibility_timeout_seconds = 600
    concurrency                = 8
  }

  assert {
    condition = aws_lambda_function.worker.environment[0].variables == tomap({
      DRUMLINE_QUEUE_URL          = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
      DRUMLINE_VISIBILITY_TIMEOUT = "600s"
      DRUMLINE_CONCURRENCY        = "8"
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_SAMPLE_JOBS        = ""
    })
    error_message = "The settings are the queue's."
  }
}

run "a_function_too_slow_for_the_visibility_timeout_is_refused" {
  command = plan

  variables {
    timeout_seconds            = 100
    batch_window_seconds       = 10
    visibility_timeout_seconds = 609
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "the_longest_function_fits_the_default_visibility_timeout" {
  command = plan

  variables {
    timeout_seconds = 150
  }

  assert {
    condition     = aws_lambda_function.worker.timeout == 150
    error_message = "Six times 150 s are 900 s."
  }
}

run "a_window_before_a_fifo_queue_is_refused" {
  command = plan

  variables {
    queue_arn            = "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo"
    queue_url            = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo"
    queue_name           = "jobs.fifo"
    batch_window_seconds = 1
  }

  expect_failures = [var.batch_window_seconds]
}

run "a_batch_that_needs_a_window_is_refused" {
  command = plan

  variables {
    batch_size = 11
  }

  expect_failures = [var.batch_size]
}
