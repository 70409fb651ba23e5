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
  description = "Output visibility_timeout_seconds of the queue's module. The worker renews it at half of its length. Above shutdown_grace_seconds."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 305 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds is from 305 to 43200."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id is the id of a VPC."
  }
}

variable "subnet_ids" {
  description = "Subnets without public addresses, with a way to SQS, ECS, CloudWatch Logs and the image's registry by a NAT gateway or by VPC endpoints."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids are the ids of one or more subnets."
  }
}

variable "security_group_ids" {
  description = "Security groups of the tasks besides their own, which lets out HTTPS only: at most four, for a store, a database or a forward_to that is reached by another port. Empty for none."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^(sg-[0-9a-f]+)?$", id))])
    error_message = "security_group_ids are the ids of security groups."
  }
}

variable "image_uri" {
  description = "The image, with a digest or a version. A tag such as latest would change under running tasks."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*(@sha256:[0-9a-f]{64}|:v?[0-9]+[.][0-9]+[A-Za-z0-9_.-]*)$", var.image_uri))
    error_message = "image_uri is an image with a digest or a version."
  }
}

variable "concurrency" {
  description = "Handlers that one task runs at once."
  type        = number
  default     = 32
  nullable    = false

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 256
    error_message = "concurrency is from 1 to 256."
  }
}

variable "min_tasks" {
  description = "Minimum number of tasks. With 0 the first message after idle hours may wait a quarter of an hour, until SQS reports metrics again."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.min_tasks >= 0 && var.min_tasks <= 10
    error_message = "min_tasks is from 0 to 10."
  }
}

variable "max_tasks" {
  description = "Tasks at most. At least min_tasks, and no more than what the handlers' own backends stand."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_tasks >= 1 && var.max_tasks <= 400
    error_message = "max_tasks is from 1 to 400."
  }

  validation {
    condition     = var.max_tasks >= var.min_tasks
    error_message = "max_tasks is at least min_tasks."
  }
}

variable "acceptable_wait_seconds" {
  description = "How long a message may wait before it is handled. The service is scaled so that the expected wait stays below. At least 1.25 times mean_handler_seconds, or busy tasks alone would keep the service from scaling in."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.acceptable_wait_seconds >= 1 && var.acceptable_wait_seconds <= 43200
    error_message = "acceptable_wait_seconds is from 1 to 43200."
  }

  validation {
    condition     = var.acceptable_wait_seconds > 1.25 * var.mean_handler_seconds
    error_message = "acceptable_wait_seconds is more than 1.25 times mean_handler_seconds."
  }
}

variable "mean_handler_seconds" {
  description = "How long a handler takes on average, fractions included: the mean of drumline_job_duration_seconds. The expected wait is the messages waiting and in flight times this, divided by concurrency and the running tasks."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.mean_handler_seconds >= 0.001 && var.mean_handler_seconds <= 36000
    error_message = "mean_handler_seconds is from 0.001 to 36000."
  }
}

variable "stop_timeout_seconds" {
  description = "From SIGTERM to SIGKILL. EC2 knows no upper limit, unlike Fargate."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.stop_timeout_seconds >= 305 && var.stop_timeout_seconds <= 7200
    error_message = "stop_timeout_seconds is from 305 to 7200."
  }
}

variable "shutdown_grace_seconds" {
  description = "How long running handlers may continue after SIGTERM. At least 5 s below stop_timeout_seconds, and below visibility_timeout_seconds."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.shutdown_grace_seconds >= 1 && var.shutdown_grace_seconds <= 895
    error_message = "shutdown_grace_seconds is from 1 to 895."
  }

  validation {
    condition     = var.shutdown_grace_seconds + 5 <= var.stop_timeout_seconds
    error_message = "shutdown_grace_seconds is at least 5 s below stop_timeout_seconds."
  }

  validation {
    condition     = var.shutdown_grace_seconds < var.visibility_timeout_seconds
    error_message = "shutdown_grace_seconds is below visibility_timeout_seconds."
  }
}

variable "handler_timeout_seconds" {
  description = "How long one attempt may take."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.handler_timeout_seconds >= 1 && var.handler_timeout_seconds <= 43200
    error_message = "handler_timeout_seconds is from 1 to 43200."
  }
}

variable "task_cpu" {
  description = "Processor units of a task; 1024 are one processor. An application beside the worker shares them. A large instance has 2048."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.task_cpu)
    error_message = "task_cpu is one of 256, 512, 1024, 2048 and 4096."
  }
}

variable "task_memory_mb" {
  description = "Memory of a task, of both its containers. Less than what instance_type has, since the system needs some of it."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = contains([1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384], var.task_memory_mb)
    error_message = "task_memory_mb is one of 1024, 2048, 3072, 4096, 6144, 8192, 12288 and 16384."
  }
}

variable "instance_type" {
  description = "An instance type of architecture. Every task has a network interface of its own, and an instance has few: two tasks fit on a large one, unless the account has awsvpcTrunking on."
  type        = string
  default     = "m7g.large"
  nullable    = false

  validation {
    condition     = contains(["c7g.large", "c7g.xlarge", "c7g.2xlarge", "m7g.large", "m7g.xlarge", "m7g.2xlarge", "r7g.large", "r7g.xlarge", "c7i.large", "c7i.xlarge", "c7i.2xlarge", "m7i.large", "m7i.xlarge", "m7i.2xlarge", "r7i.large", "r7i.xlarge"], var.instance_type)
    error_message = "instance_type is c7, m7 or r7, with g or i, from large to 2xlarge (r7 to xlarge)."
  }

  validation {
    condition     = strcontains(var.instance_type, "7g.") == (var.architecture == "arm64")
    error_message = "instance_type is of architecture: with a g for arm64, with an i for x86_64."
  }

  validation {
    condition     = var.task_cpu <= 2048 || !endswith(var.instance_type, ".large")
    error_message = "instance_type has to have the processors of a task: a large one has two."
  }

  validation {
    # The family's memory for each processor, times the processors of the size.
    condition     = var.task_memory_mb < lookup({ c = 2048, m = 4096, r = 8192 }, substr(var.instance_type, 0, 1), 0) * (endswith(var.instance_type, ".2xlarge") ? 8 : endswith(var.instance_type, ".xlarge") ? 4 : 2)
    error_message = "instance_type has to have more memory than task_memory_mb."
  }
}

variable "max_instances" {
  description = "Maximum number of instances. Enough for max_tasks and, while a deployment is under way, for twice as many."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 400
    error_message = "max_instances is from 1 to 400."
  }
}

variable "sample_jobs" {
  description = "Whether Drumline's own image runs the sample jobs of Drumline's repository. Empty for an image with its own handlers."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = contains(["", "on"], var.sample_jobs)
    error_message = "sample_jobs is on, or empty."
  }
}

variable "architecture" {
  description = "Processor architecture of the images and the instances. instance_type has to be of it: those with a g are arm64, those with an i x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "store_table_name" {
  description = "Output store_table_name of the queue's module: the DynamoDB table in which workers remember what was done and why a job failed. Empty for another store."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]{3,255})?$", var.store_table_name))
    error_message = "store_table_name is the name of a table, or empty."
  }

  validation {
    condition     = var.store_table_name == "" || var.store_url_secret_arn == ""
    error_message = "There is one store: leave store_table_name or store_url_secret_arn empty."
  }
}

variable "store_url" {
  description = "The store if store_table_name is empty. With memory: every task remembers for itself, and a duplicate that another task receives runs again. Redis and PostgreSQL need security_group_ids that let out their port. A URL with a password comes by store_url_secret_arn."
  type        = string
  default     = "memory:"
  nullable    = false

  validation {
    condition     = can(regex("^(memory:|rediss?://|postgres(ql)?://|dynamodb://)[^ @]*$", var.store_url))
    error_message = "store_url is the URL of a store, without a password."
  }
}

variable "store_url_secret_arn" {
  description = "A secret whose text is the store's URL, such as postgres:// with a password. Leave store_table_name empty then."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)?$", var.store_url_secret_arn))
    error_message = "store_url_secret_arn is the ARN of a secret, or empty."
  }
}

variable "environment" {
  description = "Variables of all containers besides those that the module sets, for what handlers want and for settings without a variable here. Not for secrets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(setintersection(keys(var.environment), [
      "DRUMLINE_CONCURRENCY",
      "DRUMLINE_DLQ_ALERT_TO",
      "DRUMLINE_DLQ_WATCH",
      "DRUMLINE_EMF",
      "DRUMLINE_FORWARD_TO",
      "DRUMLINE_HANDLER_TIMEOUT",
      "DRUMLINE_LOG_FORMAT",
      "DRUMLINE_PAYLOAD_BUCKETS",
      "DRUMLINE_QUEUE_URL",
      "DRUMLINE_SAMPLE_JOBS",
      "DRUMLINE_SHUTDOWN_GRACE",
      "DRUMLINE_STORE_URL",
      "DRUMLINE_TASK_PROTECTION",
      "DRUMLINE_VISIBILITY_TIMEOUT",
      "PORT",
    ])) == 0
    error_message = "environment names a variable that the module sets itself: use the module's variable."
  }
}

variable "secrets" {
  description = "Environment variables of all containers whose values are secrets: names with the ARNs of secrets, of which ECS reads the text."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))])
    error_message = "secrets are the ARNs of secrets by names of variables."
  }

  validation {
    condition     = length(setintersection(keys(var.secrets), keys(var.environment))) == 0
    error_message = "A variable is in secrets or in environment, not in both."
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

variable "environment_file_arn" {
  description = "A file in S3 with a NAME=value on each line, for all containers. What the module and environment set goes before. Not for secrets."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:s3:::[a-z0-9.-]{3,63}/[^ ]*[.]env)?$", var.environment_file_arn))
    error_message = "environment_file_arn is the ARN of a .env file in S3, or empty."
  }
}

variable "secret_arns" {
  description = "Secrets that handlers may read while they run. Their names come by environment or the code."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.secret_arns : can(regex("^(arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)?$", arn))])
    error_message = "secret_arns are the ARNs of secrets."
  }
}

variable "extra_policy_arns" {
  description = "Managed policies with further permissions of handlers, for the task's role."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.extra_policy_arns : can(regex("^(arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9/_+=,.@-]+)?$", arn))])
    error_message = "extra_policy_arns are the ARNs of policies."
  }
}

variable "kms_key_arn" {
  description = "The queue's kms_key_arn. Empty for SQS's own key."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key, or empty."
  }
}

variable "secrets_kms_key_arn" {
  description = "The key of your own under which the secrets and the environment file are encrypted. Empty for AWS's own keys."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.secrets_kms_key_arn))
    error_message = "secrets_kms_key_arn is the ARN of a key, or empty."
  }
}

variable "dead_letter_queue_arn" {
  description = "Output dead_letter_queue_arn of the queue's module: workers watch it and report each new cause of dead letters to the alarm topic once. Empty for the alarms alone."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}([.]fifo)?)?$", var.dead_letter_queue_arn))
    error_message = "dead_letter_queue_arn is the ARN of a queue, or empty."
  }
}

variable "forward_to" {
  description = "Where the worker posts each message, for handlers of any language. Empty for handlers in the worker's image, or for the application of application_image_uri at its root path."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(https?://[^ @]+)?$", var.forward_to))
    error_message = "forward_to is a URL without a password, or empty."
  }
}

variable "application_image_uri" {
  description = "An application of any language that takes the messages by HTTP, as a container beside the worker's. Empty for none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.:/_-]*(@sha256:[0-9a-f]{64}|:v?[0-9]+[.][0-9]+[A-Za-z0-9_.-]*))?$", var.application_image_uri))
    error_message = "application_image_uri is an image with a digest or a version, or empty."
  }
}

variable "application_port" {
  description = "The port at which the application listens on 127.0.0.1. It gets it as PORT. Not 9464, which is the worker's."
  type        = number
  default     = 8080
  nullable    = false

  validation {
    condition     = var.application_port >= 1024 && var.application_port <= 65535
    error_message = "application_port is from 1024 to 65535."
  }

  validation {
    condition     = var.application_port != 9464
    error_message = "application_port 9464 is the worker's own."
  }
}

variable "application_health_command" {
  description = "A program in the application's image and its arguments, which exits with 0 as soon as requests can be taken. It is run without a shell. Empty for no health check: the worker then pauses until requests are accepted."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(/[^ ]+( [^ ]+)*)?$", var.application_health_command))
    error_message = "application_health_command is the path of a program, and arguments, or empty."
  }

  validation {
    condition     = var.application_health_command == "" || var.application_image_uri != ""
    error_message = "application_health_command is the application's: application_image_uri has to be given."
  }
}

variable "oldest_message_age_seconds" {
  description = "The age of the oldest message in the worker's hands, retries included, above which an alarm fires."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.oldest_message_age_seconds >= 60 && var.oldest_message_age_seconds <= 43000
    error_message = "oldest_message_age_seconds is from 60 to 43000."
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
