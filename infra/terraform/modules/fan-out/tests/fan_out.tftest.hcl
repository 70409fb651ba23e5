mock_provider "aws" {
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = {
      arn = "arn:aws:sns:eu-west-1:123456789012:jobs-events"
    }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:123456789012:jobs-queue"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-queue"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/keep-active"
    }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = {
      arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs-events-store"
    }
  }

  mock_resource "aws_iam_policy" {
    defaults = {
      arn = "arn:aws:iam::123456789012:policy/operators"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
}

variables {
  dead_letter_owner = "the jobs team"
  alarm_topic_arn   = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "two_groups_by_the_first_part_of_the_type" {
  command = plan

  assert {
    condition     = output.first_queue_name == "jobs-image" && output.second_dead_letter_queue_name == "jobs-email-dlq"
    error_message = "Queues are named after their groups."
  }

  assert {
    condition     = length(module.third) == 0 && output.third_queue_arn == ""
    error_message = "There is no third queue unless it has a name."
  }

  assert {
    condition     = module.first.filter_policy == jsonencode({ type = [{ prefix = "image." }] })
    error_message = "The first group's types begin with its name."
  }
}

run "a_type_may_be_in_several_lists" {
  command = plan

  variables {
    first_group  = "audit"
    first_types  = ["app.critical", "app.info"]
    second_group = "pager"
    second_types = ["app.critical"]
    third_group  = "archive"
    third_types  = ["app.critical", "app.info"]
    filter_on    = "attribute"
  }

  assert {
    condition     = module.second.filter_policy == jsonencode({ messageType = ["app.critical"] })
    error_message = "The second group takes its types only, by the message attribute."
  }

  assert {
    condition     = output.third_queue_name == "jobs-archive"
    error_message = "There is a third queue."
  }

  assert {
    condition     = length(jsondecode(aws_iam_policy.operators.policy).Statement[0].Resource) == 3
    error_message = "Operators may look at the dead letters of all three."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.unreadable.metric_name == "NumberOfNotificationsFilteredOut-NoMessageAttributes"
    error_message = "The alarm watches messages without the attribute."
  }
}

run "two_groups_of_one_name_are_refused" {
  command = plan

  variables {
    second_group = "image"
  }

  expect_failures = [var.second_group]
}

run "a_third_group_of_a_name_in_use_is_refused" {
  command = plan

  variables {
    third_group = "email"
  }

  expect_failures = [var.third_group]
}

run "a_schedule_for_each_queue_keeps_its_metrics_coming" {
  command = plan

  variables {
    third_group       = "archive"
    keep_queue_active = "on"
  }

  assert {
    condition     = toset(keys(aws_scheduler_schedule.keep_active)) == toset(["archive", "email", "image"])
    error_message = "Each queue has its schedule."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.keep_active[0].policy).Statement[0].Resource) == 3
    error_message = "The schedules may tag the queues."
  }
}

run "the_topic_has_the_key_of_sns_and_queues_that_of_sqs" {
  command = plan

  assert {
    condition     = aws_sns_topic.events.kms_master_key_id == "alias/aws/sns" && alltrue([for key in module.first.kms_key_arns : key == null])
    error_message = "There is no key of one's own."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.producers.policy).Statement : [statement.Action, statement.Resource]] == [
      ["sns:Publish", aws_sns_topic.events.arn]
    ]
    error_message = "Producers may only publish."
  }
}

run "a_key_of_ones_own_encrypts_the_topic_and_all_queues" {
  command = plan

  variables {
    third_group = "archive"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
  }

  assert {
    condition = alltrue([
      for key in concat([aws_sns_topic.events.kms_master_key_id], module.first.kms_key_arns, module.second.kms_key_arns, module.third[0].kms_key_arns) :
      key == var.kms_key_arn
    ])
    error_message = "The topic and all queues have the key."
  }

  assert {
    condition = [
      for policy in [aws_iam_policy.producers, aws_iam_policy.operators] : [
        for statement in jsondecode(policy.policy).Statement :
        [statement.Resource, join(" ", statement.Action), statement.Condition.StringEquals["kms:ViaService"]]
        if statement.Sid == "Encrypt"
      ]
      ] == [
      [[var.kms_key_arn, "kms:GenerateDataKey kms:Decrypt", "sns.eu-west-1.amazonaws.com"]],
      [[var.kms_key_arn, "kms:GenerateDataKey kms:Decrypt", "sqs.eu-west-1.amazonaws.com"]],
    ]
    error_message = "Producers encrypt by SNS, and operators by SQS."
  }
}

run "a_visibility_timeout_of_half_a_minute_is_enough" {
  command = plan

  variables {
    visibility_timeout_seconds = 30
  }
}

run "a_shorter_visibility_timeout_is_refused" {
  command = plan

  variables {
    visibility_timeout_seconds = 29
  }

  expect_failures = [var.visibility_timeout_seconds]
}
