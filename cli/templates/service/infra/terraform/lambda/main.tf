# The queue, and the Lambda function on it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

# Region and credentials come from the environment.
provider "aws" {
  default_tags {
    tags = { project = "my-service" }
  }
}

variable "code_s3_bucket" {
  description = "The bucket of the function's zip file, in the same region."
  type        = string
}

variable "code_s3_key" {
  description = "The zip file's key, a new one for each version."
  type        = string
}

resource "aws_sns_topic" "alarms" {
  name = "my-service-alarms"
}

module "queue" {
  source = "{{modules}}/queue{{ref}}"

  service_name      = "my-service"
  dead_letter_owner = "the my-service team"
  alarm_topic_arn   = aws_sns_topic.alarms.arn
}

module "worker" {
  source = "{{modules}}/worker-lambda{{ref}}"

  service_name               = "my-service"
  queue_arn                  = module.queue.queue_arn
  queue_url                  = module.queue.queue_url
  queue_name                 = module.queue.queue_name
  visibility_timeout_seconds = module.queue.visibility_timeout_seconds
  store_table_name           = module.queue.store_table_name
  code_s3_bucket             = var.code_s3_bucket
  code_s3_key                = var.code_s3_key
  timeout_seconds            = 140
  alarm_topic_arn            = aws_sns_topic.alarms.arn
}

output "queue_url" {
  description = "The queue that producers send to."
  value       = module.queue.queue_url
}

output "function_role_name" {
  description = "The role that the handlers' own permissions are added to."
  value       = module.worker.function_role_name
}
