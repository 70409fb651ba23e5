output "dashboard_url" {
  description = "The dashboard in the console."
  value       = "https://console.aws.amazon.com/cloudwatch/home?region=${data.aws_region.current.id}#dashboards:name=${aws_cloudwatch_dashboard.worker.dashboard_name}"
}
