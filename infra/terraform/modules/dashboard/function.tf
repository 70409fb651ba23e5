# A function and its event source mapping, as Lambda reports them.

locals {
  function_widgets = [
    {
      title  = "Concurrency and duration"
      x      = 0
      y      = 20
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", "${var.service_name}-worker", { stat = "Maximum", label = "concurrent" }],
        ["AWS/Lambda", "Duration", "FunctionName", "${var.service_name}-worker", { stat = "p95", label = "duration p95 in ms", yAxis = "right" }],
      ]
    },
    {
      title  = "Invocations, errors, throttles"
      x      = 8
      y      = 20
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        ["AWS/Lambda", "Invocations", "FunctionName", "${var.service_name}-worker", { label = "invocations" }],
        ["AWS/Lambda", "Errors", "FunctionName", "${var.service_name}-worker", { label = "errors" }],
        ["AWS/Lambda", "Throttles", "FunctionName", "${var.service_name}-worker", { label = "throttles" }],
      ]
    },
    {
      title  = "Messages of the event source mapping"
      x      = 16
      y      = 20
      width  = 8
      period = 60
      stat   = "Sum"
      metrics = [
        ["AWS/Lambda", "PolledEventCount", "EventSourceMappingUUID", var.event_source_mapping_id, { label = "polled" }],
        ["AWS/Lambda", "InvokedEventCount", "EventSourceMappingUUID", var.event_source_mapping_id, { label = "invoked with" }],
        ["AWS/Lambda", "FailedInvokeEventCount", "EventSourceMappingUUID", var.event_source_mapping_id, { label = "not invoked with" }],
        ["AWS/Lambda", "DeletedEventCount", "EventSourceMappingUUID", var.event_source_mapping_id, { label = "deleted" }],
        ["AWS/Lambda", "ProvisionedPollers", "EventSourceMappingUUID", var.event_source_mapping_id, { stat = "Maximum", label = "provisioned pollers", yAxis = "right" }],
      ]
    },
  ]
}
