# The worker's own metrics, which it writes to its log.
# Metrics whose labels are not known in advance are searched for. A search finds those with exactly the dimensions between
# its braces, which are a metric's labels.

locals {
  worker_widgets = [
    {
      title  = "Jobs by outcome"
      x      = 0
      y      = 28
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,outcome,queue,type} MetricName=\"drumline_jobs_total\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
      ]
    },
    {
      title  = "Failed attempts by class"
      x      = 8
      y      = 28
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,class,queue,type} MetricName=\"drumline_failures_total\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
      ]
    },
    {
      title  = "Jobs done before, and jobs of workers that died"
      x      = 16
      y      = 28
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,type,cause} MetricName=\"drumline_deduplicated_total\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
        [{ expression = "SEARCH('{Drumline,queue,type} MetricName=\"drumline_jobs_stalled_total\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
      ]
    },
    {
      title  = "Age of the oldest message that the worker received lately, in seconds, retries included"
      x      = 0
      y      = 34
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        ["Drumline", "drumline_oldest_message_age_seconds", "queue", var.queue_name, { stat = "Maximum", label = "oldest" }],
      ]
    },
    {
      title  = "From sent to done, in seconds (p95)"
      x      = 8
      y      = 34
      width  = 8
      period = 60
      stat   = "p95"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,type} MetricName=\"drumline_job_dwell_seconds\" queue=\"${var.queue_name}\"', 'p95', 60)" }],
      ]
    },
    {
      title  = "From sent to started, in seconds (p95)"
      x      = 16
      y      = 34
      width  = 8
      period = 60
      stat   = "p95"
      metrics = [
        ["Drumline", "drumline_pickup_delay_seconds", "queue", var.queue_name, { stat = "p95", label = "pickup delay" }],
      ]
    },
    {
      title  = "How long attempts take, in seconds (p95)"
      x      = 0
      y      = 40
      width  = 8
      period = 60
      stat   = "p95"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,type} MetricName=\"drumline_job_duration_seconds\" queue=\"${var.queue_name}\"', 'p95', 60)" }],
      ]
    },
    {
      title  = "Handlers running, deliveries in hand"
      x      = 8
      y      = 40
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,type} MetricName=\"drumline_jobs_running\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
        ["Drumline", "drumline_deliveries_in_hand", "queue", var.queue_name, { stat = "Sum", label = "in hand" }],
      ]
    },
    {
      title  = "Queue paused, by reason (1 while it is)"
      x      = 16
      y      = 40
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,reason} MetricName=\"drumline_paused\" queue=\"${var.queue_name}\"', 'Maximum', 60)" }],
      ]
    },
    {
      title  = "Leases renewed, not renewed, lost; claims lost"
      x      = 0
      y      = 46
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,result} MetricName=\"drumline_lease_renewals_total\" queue=\"${var.queue_name}\"', 'Sum', 60)" }],
        ["Drumline", "drumline_leases_lost_total", "queue", var.queue_name, { stat = "Sum", label = "leases lost" }],
        ["Drumline", "drumline_claims_lost_total", "queue", var.queue_name, { stat = "Sum", label = "claims lost" }],
      ]
    },
    {
      title  = "Requests to SQS by result, empty receives"
      x      = 8
      y      = 46
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,action,result} MetricName=\"drumline_sqs_requests_total\"', 'Sum', 60)" }],
        ["Drumline", "drumline_empty_receives_total", "queue", var.queue_name, { stat = "Sum", label = "empty receives" }],
      ]
    },
    {
      title  = "Requests to the store by result, jobs left unmarked"
      x      = 16
      y      = 46
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,operation,result} MetricName=\"drumline_store_requests_total\"', 'Sum', 60)" }],
        ["Drumline", "drumline_unmarked_total", "queue", var.queue_name, { stat = "Sum", label = "unmarked" }],
      ]
    },
    {
      title  = "The queue as the worker sees it"
      x      = 0
      y      = 52
      width  = 8
      period = 60
      stat   = "Maximum"
      metrics = [
        [{ expression = "SEARCH('{Drumline,queue,state} MetricName=\"drumline_queue_depth\" queue=\"${var.queue_name}\"', 'Maximum', 60)" }],
        ["Drumline", "drumline_dlq_depth", "queue", var.queue_name, { stat = "Maximum", label = "dead letters" }],
      ]
    },
  ]
}
