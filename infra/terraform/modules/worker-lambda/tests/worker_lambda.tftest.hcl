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

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }

  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }
}

variables {
  queue_arn        = "arn:aws:sqs:eu-west-1:123456789012:jobs"
  queue_url        = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
  queue_name       = "jobs"
  store_table_name = "jobs-store"
  code_s3_bucket   = "artifacts"
  code_s3_key      = "drumline-lambda/0.1.0.zip"
  alarm_topic_arn  = "arn:aws:sns:eu-west-1:123456789012:alarms"
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

  assert {
    condition     = aws_lambda_event_source_mapping.queue.metrics_config[0].metrics == toset(["EventCount"])
    error_message = "The mapping counts messages."
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

run "the_function_knows_its_queue_and_its_store" {
  command = plan

  variables {
    visibility_timeout_seconds = 600
    concurrency                = 8
    environment                = { ORDERS_BUCKET = "orders" }
  }

  assert {
    condition = aws_lambda_function.worker.environment[0].variables == tomap({
      DRUMLINE_QUEUE_URL          = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
      DRUMLINE_VISIBILITY_TIMEOUT = "600s"
      DRUMLINE_CONCURRENCY        = "8"
      DRUMLINE_STORE_URL          = "dynamodb://jobs-store"
      DRUMLINE_FORWARD_TO         = ""
      DRUMLINE_LOG_FORMAT         = "json"
      DRUMLINE_PAYLOAD_BUCKETS    = ""
      DRUMLINE_SAMPLE_JOBS        = ""
      ORDERS_BUCKET               = "orders"
    })
    error_message = "The settings are the queue's and the store's, with the variables of the handlers."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.consume.policy).Statement :
      statement if startswith(statement.Sid, "UseStore")
      ] == [{
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs-store"
    }]
    error_message = "The role may use the store's table."
  }
}

run "without_a_table_the_store_is_a_url" {
  command = plan

  variables {
    store_table_name = ""
  }

  assert {
    condition     = aws_lambda_function.worker.environment[0].variables["DRUMLINE_STORE_URL"] == "memory:"
    error_message = "The store is the default URL."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.consume.policy).Statement) == 3
    error_message = "The role has rights to the queue, the log and traces."
  }
}

run "a_variable_that_is_asked_for_goes_over_the_modules" {
  command = plan

  variables {
    environment = { DRUMLINE_LOG_FORMAT = "pretty" }
  }

  assert {
    condition     = aws_lambda_function.worker.environment[0].variables["DRUMLINE_LOG_FORMAT"] == "pretty"
    error_message = "The variable is the one that is asked for."
  }
}

run "nothing_optional_is_there_unless_it_is_asked_for" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.worker.vpc_config) == 0
    error_message = "The function is outside any VPC."
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.queue.provisioned_poller_config) == 0
    error_message = "The mapping has no provisioned pollers."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.extra) == 0
    error_message = "The role has no further policies."
  }
}

run "every_optional_part_brings_its_rights" {
  command = plan

  variables {
    subnet_ids         = ["subnet-0123456789abcdef0"]
    security_group_ids = ["sg-0123456789abcdef0"]
    secret_arns        = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders-AbCdEf"]
    kms_key_arn        = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
    extra_policy_arns  = ["arn:aws:iam::123456789012:policy/orders"]
    architecture       = "x86_64"
  }

  assert {
    condition     = aws_lambda_function.worker.vpc_config[0].subnet_ids == toset(["subnet-0123456789abcdef0"])
    error_message = "The function is in the subnets."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.consume.policy).Statement : statement.Sid] == [
      "Consume", "Log", "Trace", "UseStore", "ReadSecrets", "Decrypt", "JoinVpc", "NotTheHandlers",
    ]
    error_message = "Each part has its statement."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.extra[0].policy_arn == "arn:aws:iam::123456789012:policy/orders"
    error_message = "The role has the further policy."
  }

  assert {
    condition     = aws_lambda_function.worker.architectures == tolist(["x86_64"])
    error_message = "The function runs on the processor that it was built for."
  }
}

run "provisioned_pollers_take_the_place_of_the_maximum_concurrency" {
  command = plan

  variables {
    minimum_pollers = 2
    maximum_pollers = 8
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.queue.scaling_config) == 0
    error_message = "Lambda refuses both."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue.provisioned_poller_config[0].maximum_pollers == 8
    error_message = "The mapping has its pollers."
  }
}

run "a_single_provisioned_poller_is_refused" {
  command = plan

  variables {
    minimum_pollers = 1
  }

  expect_failures = [var.minimum_pollers]
}

run "fewer_pollers_at_most_than_at_least_are_refused" {
  command = plan

  variables {
    minimum_pollers = 8
    maximum_pollers = 4
  }

  expect_failures = [var.maximum_pollers]
}

run "security_groups_without_subnets_are_refused" {
  command = plan

  variables {
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  expect_failures = [var.security_group_ids]
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
