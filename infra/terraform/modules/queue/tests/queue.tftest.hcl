mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/keep-active"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = {
      arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs-store"
    }
  }

  override_resource {
    target = aws_sqs_queue.jobs
    values = {
      id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
      arn = "arn:aws:sqs:eu-west-1:123456789012:jobs"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
    }
  }

  override_resource {
    target = aws_sqs_queue.dead_letters
    values = {
      id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq"
      arn = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq"
    }
  }
}

variables {
  dead_letter_owner = "payments"
  alarm_topic_arn   = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "what_keeps_failing_ends_in_the_dead_letter_queue" {
  command = plan

  assert {
    condition     = aws_sqs_queue_redrive_policy.jobs.queue_url == aws_sqs_queue.jobs.id
    error_message = "The redrive policy is the queue's."
  }

  assert {
    condition = jsondecode(aws_sqs_queue_redrive_policy.jobs.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq"
      maxReceiveCount     = 10
    }
    error_message = "After ten receives a message goes to the dead-letter queue."
  }

  assert {
    condition = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:123456789012:jobs"]
    }
    error_message = "Only the queue may move messages into the dead-letter queue."
  }
}

run "dead_letters_outlive_the_retention_of_the_queue" {
  command = plan

  variables {
    message_retention_seconds = 1123200
  }

  assert {
    condition     = aws_sqs_queue.jobs.message_retention_seconds == 1123200
    error_message = "The queue keeps messages as long as asked for."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "Dead letters are kept for fourteen days, for any retention of the queue."
  }
}

run "both_queues_are_closed_to_unencrypted_connections" {
  command = plan

  assert {
    condition = alltrue([
      for policy in [aws_sqs_queue_policy.jobs, aws_sqs_queue_policy.dead_letters] : anytrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" && statement.Action == "sqs:*" && statement.Principal == "*" &&
        statement.Condition.Bool["aws:SecureTransport"] == "false"
      ])
    ])
    error_message = "Each queue's policy denies everything without TLS."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_policy.dead_letters.policy).Statement[0].Resource == aws_sqs_queue.dead_letters.arn
    error_message = "The dead-letter queue's policy is about that queue."
  }
}

run "everything_is_named_for_the_service" {
  command = plan

  variables {
    service_name = "orders"
  }

  assert {
    condition     = [aws_sqs_queue.jobs.name, aws_sqs_queue.dead_letters.name] == ["orders", "orders-dlq"]
    error_message = "The queues are named for the service."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters.dimensions["QueueName"] == "orders-dlq"
    error_message = "The alarm watches the dead-letter queue by its name."
  }

  assert {
    condition     = output.dead_letter_alarm_name == "orders-dead-letters"
    error_message = "Outputs name the alarms."
  }
}

run "a_visibility_timeout_too_short_to_be_renewed_is_refused" {
  command = plan

  variables {
    visibility_timeout_seconds = 29
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "a_retention_as_long_as_that_of_dead_letters_is_refused" {
  command = plan

  variables {
    message_retention_seconds = 1209600
  }

  expect_failures = [var.message_retention_seconds]
}

run "few_receives_are_refused" {
  command = plan

  variables {
    max_receive_count = 4
  }

  expect_failures = [var.max_receive_count]
}

run "a_name_that_no_queue_can_have_is_refused" {
  command = plan

  variables {
    service_name = "Jobs.fifo"
  }

  expect_failures = [var.service_name]
}

run "the_store_is_a_table_that_operators_and_workers_share" {
  command = plan

  assert {
    condition     = [aws_dynamodb_table.store[0].name, aws_dynamodb_table.store[0].hash_key, aws_dynamodb_table.store[0].ttl[0].attribute_name] == ["jobs-store", "id", "expiration"]
    error_message = "The table is what the store wants."
  }

  assert {
    condition     = output.store_table_name == "jobs-store"
    error_message = "Workers are given the table's name."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.operators.policy).Statement : statement.Sid] == ["DeadLetters", "BackToTheQueue", "UseStore"]
    error_message = "Operators read the reasons."
  }
}

run "a_store_of_none_leaves_no_trace" {
  command = plan

  variables {
    store = "none"
  }

  assert {
    condition     = length(aws_dynamodb_table.store) == 0 && output.store_table_name == ""
    error_message = "There is no table."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.operators.policy).Statement : statement.Sid] == ["DeadLetters", "BackToTheQueue"]
    error_message = "Operators have no rights on a table that is not there."
  }
}

run "a_key_of_ones_own_encrypts_both_queues_for_producers_and_operators" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.jobs, aws_sqs_queue.dead_letters] : queue.kms_master_key_id == var.kms_key_arn
    ])
    error_message = "Both queues have the key."
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_policy.producers, aws_iam_policy.operators] : anytrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Sid == "Encrypt" && statement.Resource == var.kms_key_arn && contains(statement.Action, "kms:GenerateDataKey")
      ])
    ])
    error_message = "Who sends may encrypt."
  }
}

run "dead_letters_have_an_owner" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.dead_letters, aws_cloudwatch_metric_alarm.dead_letter_age] :
      strcontains(alarm.alarm_description, "payments")
    ])
    error_message = "The alarms on dead letters name their owner."
  }
}

run "an_owner_of_two_lines_is_refused" {
  command = plan

  variables {
    dead_letter_owner = "payments\nteam"
  }

  expect_failures = [var.dead_letter_owner]
}

run "a_queue_is_not_kept_active_unless_asked_for" {
  command = plan

  assert {
    condition     = length(aws_scheduler_schedule.keep_active) == 0 && length(aws_iam_role.keep_active) == 0
    error_message = "No schedule by default."
  }
}

run "a_queue_is_kept_active_by_a_schedule_that_only_writes_its_tag" {
  command = plan

  variables {
    keep_queue_active = "on"
  }

  assert {
    condition     = aws_scheduler_schedule.keep_active[0].target[0].arn == "arn:aws:scheduler:::aws-sdk:sqs:tagQueue"
    error_message = "The schedule makes a call that EventBridge Scheduler supports."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.keep_active[0].target[0].input).Tags == { "drumline:service" = "jobs" }
    error_message = "It writes the tag that the queue has."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.keep_active[0].policy).Statement : statement.Action] == ["sqs:TagQueue"]
    error_message = "Its role has no other permissions."
  }
}
