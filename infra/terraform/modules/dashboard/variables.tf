variable "service_name" {
  description = "The service_name of the worker's module."
  type        = string
  default     = "jobs"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,40}$", var.service_name))
    error_message = "service_name is a lower-case letter and up to 40 letters, digits and hyphens."
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

variable "dead_letter_queue_name" {
  description = "Output dead_letter_queue_name of the queue's module."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}([.]fifo)?$", var.dead_letter_queue_name))
    error_message = "dead_letter_queue_name is the name of a queue."
  }
}

variable "event_source_mapping_id" {
  description = "Output event_source_mapping_id of the function's module, for the mapping's counts. Leave it at none for a service."
  type        = string
  default     = "none"
  nullable    = false

  validation {
    condition     = can(regex("^(none|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$", var.event_source_mapping_id))
    error_message = "event_source_mapping_id is the id of a mapping, or none."
  }
}
