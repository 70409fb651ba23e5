variable "service_name" {
  description = "The first part of every name here."
  type        = string
  default     = "jobs"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,40}$", var.service_name))
    error_message = "service_name is a lower-case letter and up to 40 letters, digits and hyphens."
  }
}

variable "first_group" {
  description = "The name of the first queue, and the first part of its job types unless first_types lists them, without the dot."
  type        = string
  default     = "image"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.first_group))
    error_message = "first_group is a lower-case letter and up to 20 letters, digits and hyphens."
  }
}

variable "first_types" {
  description = "The job types of the first queue. Empty for all that begin with first_group and a dot."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for type in var.first_types : can(regex("^[A-Za-z0-9._:/-]*$", type))])
    error_message = "first_types are job types of letters, digits and . _ : / -"
  }
}

variable "second_group" {
  description = "The name of the second queue, and the first part of its job types unless second_types lists them, without the dot. Another one than the first's."
  type        = string
  default     = "email"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.second_group))
    error_message = "second_group is a lower-case letter and up to 20 letters, digits and hyphens."
  }

  validation {
    condition     = var.second_group != var.first_group
    error_message = "second_group is another one than first_group."
  }
}

variable "second_types" {
  description = "The job types of the second queue. Empty for all that begin with second_group and a dot."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for type in var.second_types : can(regex("^[A-Za-z0-9._:/-]*$", type))])
    error_message = "second_types are job types of letters, digits and . _ : / -"
  }
}

variable "third_group" {
  description = "The name of the third queue, and the first part of its job types unless third_types lists them, without the dot. Another one than the others'. Empty for two queues."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z][a-z0-9-]{0,20})?$", var.third_group))
    error_message = "third_group is a lower-case letter and up to 20 letters, digits and hyphens, or empty."
  }

  validation {
    condition     = var.third_group != var.first_group && var.third_group != var.second_group
    error_message = "third_group is another one than the others."
  }
}

variable "third_types" {
  description = "The job types of the third queue. Empty for all that begin with third_group and a dot."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for type in var.third_types : can(regex("^[A-Za-z0-9._:/-]*$", type))])
    error_message = "third_types are job types of letters, digits and . _ : / -"
  }
}

variable "filter_on" {
  description = "Where the topic finds a job's type: in the body, a JSON object with the key type; or in the message attribute messageType, so that bodies need not be JSON."
  type        = string
  default     = "body"
  nullable    = false

  validation {
    condition     = contains(["body", "attribute"], var.filter_on)
    error_message = "filter_on is one of body and attribute."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a received message stays hidden unless the worker renews it. Give the worker's module the same value. For a function at least six times its timeout, plus its batch window; else at least 30, so that a renewal that fails can be repeated."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 30 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds is from 30 to 43200."
  }
}

variable "message_retention_seconds" {
  description = "After which age SQS deletes a message that is not finished. A day below the dead-letter queue's 14 days at most."
  type        = number
  default     = 345600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 86400 && var.message_retention_seconds <= 1123200
    error_message = "message_retention_seconds is from 86400 to 1123200."
  }
}

variable "max_receive_count" {
  description = "After how many receives a message moves to the dead-letter queue. Every receive counts, failed or not. Raise it together with the retries of a longer retry schedule."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000
    error_message = "max_receive_count is from 5 to 1000."
  }
}

variable "oldest_message_age_seconds" {
  description = "The age of the oldest waiting message above which the backlog alarm fires."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.oldest_message_age_seconds >= 60 && var.oldest_message_age_seconds <= 43000
    error_message = "oldest_message_age_seconds is from 60 to 43000."
  }
}

variable "store" {
  description = "A DynamoDB table (table) in which the workers of all groups remember what was done and why a job failed, and from which dlq ls reads the reasons. With none every worker remembers for itself, and a duplicate that another worker receives runs again."
  type        = string
  default     = "table"
  nullable    = false

  validation {
    condition     = contains(["table", "none"], var.store)
    error_message = "store is table or none."
  }
}

variable "kms_key_arn" {
  description = "A key of your own for the topic and all queues. Give the workers' modules the same value. Empty for the keys of SNS and SQS. The key's policy has to let IAM policies of this account grant its use, and sns.amazonaws.com call kms:GenerateDataKey* and kms:Decrypt, else no message is delivered."
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
  description = "The SNS topic that is notified when an alarm starts and when it ends."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn is the ARN of an SNS topic."
  }
}
