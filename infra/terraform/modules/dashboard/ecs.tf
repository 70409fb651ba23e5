# A service on ECS, as ECS reports it.
# Metrics whose labels are not known in advance are searched for. A search finds those with exactly the dimensions between
# its braces, which are a metric's labels.

locals {
  ecs_widgets = [
    {
      title  = "Tasks desired, running, pending"
      x      = 0
      y      = 13
      width  = 12
      period = 60
      stat   = "Maximum"
      metrics = [
        [{ expression = "SEARCH('{ECS/ContainerInsights,ClusterName,ServiceName} MetricName=\"DesiredTaskCount\" ServiceName=\"${var.service_name}-worker\"', 'Maximum', 60)" }],
        [{ expression = "SEARCH('{ECS/ContainerInsights,ClusterName,ServiceName} MetricName=\"RunningTaskCount\" ServiceName=\"${var.service_name}-worker\"', 'Maximum', 60)" }],
        [{ expression = "SEARCH('{ECS/ContainerInsights,ClusterName,ServiceName} MetricName=\"PendingTaskCount\" ServiceName=\"${var.service_name}-worker\"', 'Maximum', 60)" }],
      ]
    },
    {
      title  = "Processor and memory in use, in percent"
      x      = 12
      y      = 13
      width  = 12
      period = 60
      stat   = "Average"
      metrics = [
        [{ expression = "SEARCH('{AWS/ECS,ClusterName,ServiceName} MetricName=\"CPUUtilization\" ServiceName=\"${var.service_name}-worker\"', 'Average', 60)" }],
        [{ expression = "SEARCH('{AWS/ECS,ClusterName,ServiceName} MetricName=\"MemoryUtilization\" ServiceName=\"${var.service_name}-worker\"', 'Average', 60)" }],
      ]
    },
  ]
}
