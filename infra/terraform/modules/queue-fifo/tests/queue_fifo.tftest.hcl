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
      id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo"
      arn = "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo"
    }
  }

  override_resource {
    target = aws_sqs_queue.dead_letters
    values = {
      id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq.fifo"
      arn = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq.fifo"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-dlq.fifo"
    }
  }
}

variables {
  dead_letter_owner        = "payments"
  alarm_topic_arn          = "arn:aws:sns:eu-west-1:123456789012:alarms"
  dead_letter_breaks_order = "accepted"
}

run "both_queues_are_fifo_with_a_throughput_for_each_group" {
  command = plan

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.jobs, aws_sqs_queue.dead_letters] :
      queue.fifo_queue && queue.deduplication_scope == "messageGroup" && queue.fifo_throughput_limit == "perMessageGroupId"
    ])
    error_message = "Both queues are high-throughput FIFO queues."
  }

  assert {
    condition     = [aws_sqs_queue.jobs.name, aws_sqs_queue.dead_letters.name] == ["jobs.fifo", "jobs-dlq.fifo"]
    error_message = "The names of FIFO queues end in .fifo."
  }
}

run "what_keeps_failing_ends_in_the_dead_letter_queue" {
  command = plan

  assert {
    condition = jsondecode(aws_sqs_queue_redrive_policy.jobs.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq.fifo"
      maxReceiveCount     = 10
    }
    error_message = "After ten receives a message goes to the dead-letter queue."
  }
}

run "broken_order_has_to_be_accepted" {
  command = plan

  variables {
    dead_letter_breaks_order = "unread"
  }

  expect_failures = [var.dead_letter_breaks_order]
}

run "the_store_is_a_table_that_operators_and_workers_share" {
  command = plan

  assert {
    condition     = [aws_dynamodb_table.store[0].name, aws_dynamodb_table.store[0].hash_key, aws_dynamodb_table.store[0].ttl[0].attribute_name] == ["jobs-fifo-store", "id", "expiration"]
    error_message = "The table is what the store wants."
  }

  assert {
    condition     = output.store_table_name == "jobs-fifo-store"
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
