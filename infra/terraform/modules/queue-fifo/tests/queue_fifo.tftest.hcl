mock_provider "aws" {
  override_during = plan

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
