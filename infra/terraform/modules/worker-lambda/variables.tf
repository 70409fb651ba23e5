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

variable "store_table_name" {
  description = "Output store_table_name of the queue's module: the DynamoDB table in which all environments of the function share claims and failure reasons. Empty for store_url."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]{3,255})?$", var.store_table_name))
    error_message = "store_table_name is the name of a DynamoDB table, or empty."
  }
}

variable "store_url" {
  description = "The store if store_table_name is empty. With memory: each environment remembers only its own jobs, so a duplicate may run again in another one. Everyone who may read the function's configuration can read this URL: it must not contain a password."
  type        = string
  default     = "memory:"
  nullable    = false

  validation {
    condition     = can(regex("^(memory:|rediss?://|postgres(ql)?://|dynamodb://)[^ @]*$", var.store_url))
    error_message = "store_url is memory:, or the URL of a store."
  }
}

variable "payload_bucket" {
  description = "Output payload_bucket_name of the module payload-bucket, or another bucket: payloads that producers have put into it are read. Empty for none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.payload_bucket))
    error_message = "payload_bucket is the name of a bucket, or empty."
  }
}

variable "payload_prefix" {
  description = "The beginning of the keys that are read in payload_bucket. Empty for all."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=/-]*$", var.payload_prefix))
    error_message = "payload_prefix is of letters, digits and _.=/-."
  }

  validation {
    condition     = length(var.payload_prefix) <= 512
    error_message = "payload_prefix has at most 512 characters."
  }
}

variable "secret_arns" {
  description = "Secrets that the handlers may read from Secrets Manager. Their values are not in the environment."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for item in var.secret_arns : can(regex("^(arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)?$", item))])
    error_message = "secret_arns are ARNs of secrets."
  }
}

variable "kms_key_arn" {
  description = "Variable kms_key_arn of the queue's module. Empty for a queue that is encrypted with SQS's own key."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key, or empty."
  }
}

variable "extra_policy_arns" {
  description = "Managed policies with further permissions of the handlers."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for item in var.extra_policy_arns : can(regex("^(arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9/_+=,.@-]+)?$", item))])
    error_message = "extra_policy_arns are ARNs of managed policies."
  }
}

variable "environment" {
  description = "Further settings of the function, and what handlers want. They go over what this module sets. Secrets do not belong here."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "forward_to" {
  description = "The URL that each message is posted to. Empty for a function with its own handlers."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(https?://[^ @]+)?$", var.forward_to))
    error_message = "forward_to is an HTTP URL, or empty."
  }
}

variable "subnet_ids" {
  description = "Subnets for a function that has to reach something in a VPC. They need a way to SQS, to DynamoDB if the store is there, and to Secrets Manager with secret_arns, by a NAT gateway or by VPC endpoints. Empty for a function outside any VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for item in var.subnet_ids : can(regex("^(subnet-[0-9a-f]+)?$", item))])
    error_message = "subnet_ids are ids of subnets."
  }
}

variable "security_group_ids" {
  description = "The function's security groups in the VPC. Set together with subnet_ids."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for item in var.security_group_ids : can(regex("^(sg-[0-9a-f]+)?$", item))])
    error_message = "security_group_ids are ids of security groups."
  }

  validation {
    condition     = (length(var.security_group_ids) == 0) == (length(var.subnet_ids) == 0)
    error_message = "security_group_ids and subnet_ids are both set, or both empty."
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
  description = "The zip file's key. Use a new one for each version: with the same key, other content is not deployed."
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

variable "architecture" {
  description = "The processor that the zip file was built for."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is one of arm64 and x86_64."
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
  description = "Maximum number of messages in one batch."
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
  description = "Maximum number of concurrent batches. Without effect in provisioned mode."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency is from 2 to 1000."
  }
}

variable "minimum_pollers" {
  description = "Provisioned mode: pollers that are always there, 2 or more, for a backlog that has to be picked up within a second. 0 for the mode without, in which maximum_concurrency is the limit. Pollers are paid for while they wait."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.minimum_pollers >= 0 && var.minimum_pollers <= 200
    error_message = "minimum_pollers is from 0 to 200."
  }

  validation {
    condition     = var.minimum_pollers != 1
    error_message = "minimum_pollers is 0, or 2 and more."
  }
}

variable "maximum_pollers" {
  description = "Provisioned mode: pollers at most, at least minimum_pollers. Each has up to 10 batches under way, so this is what limits concurrency there."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.maximum_pollers >= 2 && var.maximum_pollers <= 10000
    error_message = "maximum_pollers is from 2 to 10000."
  }

  validation {
    condition     = var.maximum_pollers >= var.minimum_pollers
    error_message = "maximum_pollers is at least minimum_pollers."
  }
}

variable "tracing_mode" {
  description = "Active lets X-Ray sample invocations; PassThrough only follows the sender's decision."
  type        = string
  default     = "PassThrough"
  nullable    = false

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode is one of Active and PassThrough."
  }
}

variable "sample_jobs" {
  description = "Whether Drumline's own function runs the sample jobs of Drumline's repository. Empty for a function with its own handlers."
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
  description = "The SNS topic that is notified when an alarm starts and when it ends."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn is the ARN of an SNS topic."
  }
}
