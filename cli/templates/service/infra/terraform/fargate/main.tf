# The queue, and the worker as a service on Fargate.

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

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets without public addresses."
  type        = list(string)
}

variable "image_uri" {
  description = "The worker's image, with a digest or a version."
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

resource "aws_ecs_cluster" "main" {
  name = "my-service"

  # Scaling needs the count of running tasks.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

module "worker" {
  source = "{{modules}}/worker-fargate{{ref}}"

  service_name               = "my-service"
  queue_arn                  = module.queue.queue_arn
  queue_url                  = module.queue.queue_url
  queue_name                 = module.queue.queue_name
  visibility_timeout_seconds = module.queue.visibility_timeout_seconds
  store_table_name           = module.queue.store_table_name
  cluster_name               = aws_ecs_cluster.main.name
  vpc_id                     = var.vpc_id
  subnet_ids                 = var.subnet_ids
  image_uri                  = var.image_uri
  concurrency                = 16
  handler_timeout_seconds    = 300
  alarm_topic_arn            = aws_sns_topic.alarms.arn

  depends_on = [aws_ecs_cluster_capacity_providers.main]
}

output "queue_url" {
  description = "The queue that producers send to."
  value       = module.queue.queue_url
}

output "task_role_name" {
  description = "The role that the handlers' own permissions are added to."
  value       = module.worker.task_role_name
}
