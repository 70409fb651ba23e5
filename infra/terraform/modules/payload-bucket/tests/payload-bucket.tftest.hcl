mock_provider "aws" {
  override_during = plan

  override_resource {
    target = aws_s3_bucket.payloads
    values = {
      id  = "jobs-payloads-1"
      arn = "arn:aws:s3:::jobs-payloads-1"
    }
  }
}

run "payloads_expire_after_any_message" {
  command = plan

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.payloads.rule[0].expiration[0].days == 45
    error_message = "Payloads expire after 45 days."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.payloads.policy).Statement[0].Effect == "Deny"
    error_message = "Plain HTTP is refused."
  }
}

run "they_outlive_a_message_and_its_dead_letter" {
  command = plan

  variables {
    retention_days = 28
  }

  expect_failures = [var.retention_days]
}
