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

variable "queue_arn" {
  description = "Output queue_arn of the queue's module."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}([.]fifo)?$", var.queue_arn))
    error_message = "queue_arn is the ARN of a queue."
  }
}

variable "queue_url" {
  description = "Output queue_url of the queue's module."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https?://[^ ]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}([.]fifo)?$", var.queue_url))
    error_message = "queue_url is the URL of a queue."
  }
}

variable "queue_name" {
  description = "Output queue_name of the queue's module."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}([.]fifo)?$", var.queue_name))
    error_message = "queue_name is the name of a queue."
  }
}

variable "visibility_timeout_seconds" {
  description = "Output visibility_timeout_seconds of the queue's module. At least six times timeout_seconds, plus batch_window_seconds."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 420 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds is from 420 to 43200."
  }

  validation {
    condition     = var.visibility_timeout_seconds >= 6 * var.timeout_seconds + var.batch_window_seconds
    error_message = "visibility_timeout_seconds is at least six times timeout_seconds, plus batch_window_seconds."
  }
}

variable "code_s3_bucket" {
  description = "The bucket of the function's zip file, in the region of the function."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.code_s3_bucket))
    error_message = "code_s3_bucket is the name of a bucket."
  }
}

variable "code_s3_key" {
  description = "The zip file's key. Use a new one for each version: the same key with other content changes nothing."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^/ ][^ ]*$", var.code_s3_key))
    error_message = "code_s3_key is the key of an object, without spaces."
  }

  validation {
    condition     = length(var.code_s3_key) <= 1024
    error_message = "code_s3_key has at most 1024 characters."
  }
}

variable "concurrency" {
  description = "Handlers that one invocation runs at once. Only matters below batch_size."
  type        = number
  default     = 32
  nullable    = false

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 256
    error_message = "concurrency is from 1 to 256."
  }
}

variable "timeout_seconds" {
  description = "How long a batch may take. The last 4 s of it give back what is not done. For more than 150 s raise the queue's visibility timeout along with it, and this bound."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 10 && var.timeout_seconds <= 150
    error_message = "timeout_seconds is from 10 to 150."
  }
}

variable "memory_mb" {
  description = "Memory of one environment. The processor's share grows with it; 1769 MB are one whole processor."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb is from 128 to 10240."
  }
}

variable "batch_size" {
  description = "Messages in one batch at most."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10
    error_message = "batch_size is from 1 to 10."
  }
}

variable "batch_window_seconds" {
  description = "How long to wait for a batch to fill. Must be 0 with a FIFO queue."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.batch_window_seconds >= 0 && var.batch_window_seconds <= 60
    error_message = "batch_window_seconds is from 0 to 60."
  }

  validation {
    condition     = var.batch_window_seconds == 0 || !endswith(var.queue_name, ".fifo")
    error_message = "batch_window_seconds is 0 with a FIFO queue."
  }
}

variable "maximum_concurrency" {
  description = "Batches under way at once at most."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency is from 2 to 1000."
  }
}

variable "tracing_mode" {
  description = "Active lets X-Ray sample invocations; PassThrough only follows whoever sent the message."
  type        = string
  default     = "PassThrough"
  nullable    = false

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode is one of Active and PassThrough."
  }
}

variable "sample_jobs" {
  description = "Whether Drumline's own function runs the sample jobs of Drumline's repository. Empty for a function with handlers of its own."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = contains(["", "on"], var.sample_jobs)
    error_message = "sample_jobs is on, or empty."
  }
}

variable "log_retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653."
  }
}

variable "alarm_topic_arn" {
  description = "The SNS topic that is told when an alarm begins and when it ends."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn is the ARN of an SNS topic."
  }
}
