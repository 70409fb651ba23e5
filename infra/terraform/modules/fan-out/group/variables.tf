# Bounds are the module's that uses this one.

variable "service_name" {
  description = "The first part of every name here."
  type        = string
}

variable "topic_arn" {
  description = "The topic that delivers to the queue."
  type        = string
}

variable "group" {
  description = "The second part of every name here, and the first part of the job types unless types lists them."
  type        = string
}

variable "types" {
  description = "The job types, or none for all that begin with the group and a dot."
  type        = list(string)
}

variable "filter_on" {
  description = "body or attribute: where the topic finds a job's type."
  type        = string
}

variable "visibility_timeout_seconds" {
  description = "How long a received message stays hidden unless the worker renews it."
  type        = number
}

variable "message_retention_seconds" {
  description = "How long a message is kept."
  type        = number
}

variable "max_receive_count" {
  description = "After how many receives a message moves to the dead-letter queue."
  type        = number
}

variable "oldest_message_age_seconds" {
  description = "The age of the oldest waiting message above which the backlog alarm fires."
  type        = number
}

variable "dead_letter_owner" {
  description = "The person or team that decides about dead letters. The alarms on them name it."
  type        = string
}

variable "kms_key_arn" {
  description = "The key of both queues, or empty for SQS's own key."
  type        = string
}

variable "alarm_topic_arn" {
  description = "The SNS topic that is notified when an alarm starts and when it ends."
  type        = string
}
