variable "service_name" {
  description = "Names the queue (with .fifo after it) and everything beside it."
  type        = string
  default     = "jobs"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,40}$", var.service_name))
    error_message = "service_name is a lower-case letter and up to 40 letters, digits and hyphens."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a message stays hidden after it is received. At least six times a Lambda function's timeout; else at least 30, so that a renewal that fails can be repeated."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 30 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds is from 30 to 43200."
  }
}

variable "message_retention_seconds" {
  description = "How long a message is kept. Below the dead-letter queue's two weeks."
  type        = number
  default     = 345600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 86400 && var.message_retention_seconds <= 1123200
    error_message = "message_retention_seconds is from 86400 to 1123200."
  }
}

variable "max_receive_count" {
  description = "How often a message is received before it goes to the dead-letter queue. Deploys and throttling count too."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000
    error_message = "max_receive_count is from 5 to 1000."
  }
}

variable "oldest_message_age_seconds" {
  description = "The age of the oldest message at which an alarm fires."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.oldest_message_age_seconds >= 60 && var.oldest_message_age_seconds <= 43000
    error_message = "oldest_message_age_seconds is from 60 to 43000."
  }
}

variable "store" {
  description = "A DynamoDB table (table) in which workers remember what was done and why a job failed, and from which dlq ls reads the reasons. With none every worker remembers for itself, and a duplicate that another worker receives runs again."
  type        = string
  default     = "table"
  nullable    = false

  validation {
    condition     = contains(["table", "none"], var.store)
    error_message = "store is table or none."
  }
}

variable "kms_key_arn" {
  description = "A key of your own for both queues. Give the worker's module the same value. Empty for SQS's own key. The key's policy has to let IAM policies of this account grant its use."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key, or empty."
  }
}

variable "dead_letter_owner" {
  description = "The person or team that decides about dead letters. The alarms on them name it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^\\r\\n]{1,80}$", var.dead_letter_owner))
    error_message = "dead_letter_owner is a text of 1 to 80 characters on one line."
  }
}

variable "keep_queue_active" {
  description = "Whether a schedule uses the queue every three hours. SQS stops reporting metrics of a queue that was idle for six hours, and takes up to a quarter of an hour to begin again. Needed for a worker with min_tasks 0 whose first message must not wait that long."
  type        = string
  default     = "off"
  nullable    = false

  validation {
    condition     = contains(["off", "on"], var.keep_queue_active)
    error_message = "keep_queue_active is off or on."
  }
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms, and their ends, are sent to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn is the ARN of an SNS topic."
  }
}

variable "dead_letter_breaks_order" {
  description = <<-EOT
    Say accepted. When a message has become a dead letter, the later ones of its message group are worked on without it,
    and when it is put back, it comes after them. Where that must not be, no dead-letter queue helps and this module is
    not the one to use.
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = contains(["accepted"], var.dead_letter_breaks_order)
    error_message = "dead_letter_breaks_order is accepted: read what it is about first."
  }
}
