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

variable "retention_days" {
  description = "How long a payload is kept. A message is in its queue for up to 14 days, and as long again in the dead-letter queue of a FIFO queue; each replay and each export begins that anew."
  type        = number
  default     = 45
  nullable    = false

  validation {
    condition     = var.retention_days >= 29 && var.retention_days <= 3650
    error_message = "retention_days is 29 to 3650."
  }
}
