mock_provider "aws" {
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }
}

variables {
  queue_name             = "jobs"
  dead_letter_queue_name = "jobs-dlq"
}

run "every_widget_is_of_this_region_and_none_covers_another" {
  command = plan

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.worker.dashboard_body).widgets :
      widget.properties.region == "eu-west-1" if widget.type == "metric"
    ])
    error_message = "The widgets are of this region."
  }

  assert {
    condition = length(distinct([
      for widget in jsondecode(aws_cloudwatch_dashboard.worker.dashboard_body).widgets : "${widget.x} ${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.worker.dashboard_body).widgets)
    error_message = "Each widget has its place."
  }

  assert {
    condition     = output.dashboard_url == "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards:name=jobs-worker"
    error_message = "The address is the dashboard's."
  }
}

run "queue_and_dead_letter_queue_are_shown" {
  command = plan

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.worker.dashboard_body).widgets : [
        for metric in widget.properties.metrics : metric[3] if length(metric) > 3 && try(metric[2] == "QueueName", false)
      ] if widget.type == "metric"
    ])) == toset(["jobs", "jobs-dlq"])
    error_message = "Both queues are shown."
  }
}
