# One dashboard for a queue and its worker, be it a service on ECS or a function. What does not exist stays empty.

data "aws_region" "current" {}

locals {
  sections = {
    queue    = local.queue_widgets
    ecs      = local.ecs_widgets
    function = local.function_widgets
    worker   = local.worker_widgets
  }

  # The region by `id`: the provider's version 6 has renamed `name` to `region`.
  widgets = {
    for section, widgets in local.sections : section => [
      for widget in widgets : {
        type   = "metric"
        x      = widget.x
        y      = widget.y
        width  = widget.width
        height = 6
        properties = {
          title   = widget.title
          region  = data.aws_region.current.id
          view    = "timeSeries"
          period  = widget.period
          stat    = widget.stat
          yAxis   = { left = { min = 0 }, right = { min = 0 } }
          metrics = widget.metrics
        }
      }
    ]
  }
}

resource "aws_cloudwatch_dashboard" "worker" {
  dashboard_name = "${var.service_name}-worker"
  dashboard_body = jsonencode({
    start = "-PT3H"
    widgets = concat(
      local.widgets["queue"],
      [{
        type       = "text"
        x          = 0
        y          = 12
        width      = 24
        height     = 1
        properties = { markdown = "## Service on ECS" }
      }],
      local.widgets["ecs"],
      [{
        type       = "text"
        x          = 0
        y          = 19
        width      = 24
        height     = 1
        properties = { markdown = "## Function" }
      }],
      local.widgets["function"],
      [{
        type       = "text"
        x          = 0
        y          = 26
        width      = 24
        height     = 2
        properties = { markdown = "## The worker's own metrics\nThe worker writes them to its log, from where CloudWatch takes them: a function always, a service with `DRUMLINE_EMF=on`, as these templates set it. A function does not count what only a service knows, such as the queue's depth and empty receives." }
      }],
      local.widgets["worker"],
    )
  })
}
