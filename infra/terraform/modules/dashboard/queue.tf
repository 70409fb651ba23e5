# The queue, as SQS reports it.

locals {
  queue_widgets = [
    {
      title  = "Messages waiting, in flight, delayed"
      x      = 0
      y      = 0
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.queue_name, { label = "in flight" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesDelayed", "QueueName", var.queue_name, { label = "delayed" }],
      ]
    },
    {
      title  = "Age of the oldest message, in seconds, without those received three times or more"
      x      = 8
      y      = 0
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name, { label = "queue" }],
      ]
    },
    {
      title  = "Dead letters, and the age of the oldest"
      x      = 16
      y      = 0
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_letter_queue_name, { label = "dead letters" }],
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.dead_letter_queue_name, { label = "age in seconds", yAxis = "right" }],
      ]
    },
    {
      title  = "Sent and deleted"
      x      = 0
      y      = 6
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        ["AWS/SQS", "NumberOfMessagesSent", "QueueName", var.queue_name, { label = "sent" }],
        ["AWS/SQS", "NumberOfMessagesDeleted", "QueueName", var.queue_name, { label = "deleted" }],
      ]
    },
    {
      title  = "Time to drain at the present pace, in seconds"
      x      = 8
      y      = 6
      width  = 8
      period = 300
      stat   = "Sum"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { id = "visible", stat = "Maximum", visible = false }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.queue_name, { id = "inflight", stat = "Maximum", visible = false }],
        ["AWS/SQS", "NumberOfMessagesDeleted", "QueueName", var.queue_name, { id = "deleted", stat = "Sum", visible = false }],
        [{ expression = "(visible + inflight) / (deleted / PERIOD(deleted))", id = "drain", label = "time to drain" }],
      ]
    },
    {
      title  = "Messages received, and receives that brought nothing"
      x      = 16
      y      = 6
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        ["AWS/SQS", "NumberOfMessagesReceived", "QueueName", var.queue_name, { label = "received" }],
        ["AWS/SQS", "NumberOfEmptyReceives", "QueueName", var.queue_name, { label = "empty receives" }],
      ]
    },
  ]
}
