# A configuration that makes the handlers' policy beside the worker, as most do: its ARN is not known in the plan.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

resource "aws_iam_policy" "handlers" {
  name_prefix = "handlers-"
  policy      = jsonencode({ Version = "2012-10-17", Statement = [] })
}

module "worker" {
  source = "../.."

  queue_arn         = "arn:aws:sqs:eu-west-1:123456789012:jobs"
  queue_url         = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
  queue_name        = "jobs"
  vpc_id            = "vpc-0123456789abcdef0"
  subnet_ids        = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  image_uri         = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/drumline:0.1.0"
  alarm_topic_arn   = "arn:aws:sns:eu-west-1:123456789012:alarms"
  store_table_name  = "jobs-store"
  extra_policy_arns = [aws_iam_policy.handlers.arn]
}
