# A queue, a service on Fargate that works on it, and a dashboard of both.

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
    tags = { project = "jobs" }
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
  name = "jobs-alarms"
}

resource "aws_ecs_cluster" "main" {
  name = "jobs"

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

module "queue" {
  source = "../../modules/queue"

  service_name      = "jobs"
  dead_letter_owner = "the jobs team"
  alarm_topic_arn   = aws_sns_topic.alarms.arn
}

module "worker" {
  source = "../../modules/worker-fargate"

  service_name               = "jobs"
  queue_arn                  = module.queue.queue_arn
  queue_url                  = module.queue.queue_url
  queue_name                 = module.queue.queue_name
  visibility_timeout_seconds = module.queue.visibility_timeout_seconds
  store_table_name           = module.queue.store_table_name
  cluster_name               = aws_ecs_cluster.main.name
  vpc_id                     = var.vpc_id
  subnet_ids                 = var.subnet_ids
  image_uri                  = var.image_uri
  spot_weight                = 3
  alarm_topic_arn            = aws_sns_topic.alarms.arn

  depends_on = [aws_ecs_cluster_capacity_providers.main]
}

module "dashboard" {
  source = "../../modules/dashboard"

  service_name           = "jobs"
  queue_name             = module.queue.queue_name
  dead_letter_queue_name = module.queue.dead_letter_queue_name
}

output "dashboard_url" {
  description = "The dashboard in the console."
  value       = module.dashboard.dashboard_url
}

output "queue_url" {
  description = "Where producers send to."
  value       = module.queue.queue_url
}

output "task_role_name" {
  description = "The role that the handlers' own permissions are added to."
  value       = module.worker.task_role_name
}
