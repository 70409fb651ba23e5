output "function_name" {
  description = "The function."
  value       = aws_lambda_function.worker.function_name
}

output "function_arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.worker.arn
}

output "function_role_arn" {
  description = "The role to which a handler's own permissions are added."
  value       = aws_iam_role.function.arn
}

output "function_role_name" {
  description = "The same role by its name, as aws_iam_role_policy wants it."
  value       = aws_iam_role.function.name
}

output "event_source_mapping_id" {
  description = "What to disable in order to pause the worker."
  value       = aws_lambda_event_source_mapping.queue.uuid
}

output "log_group_name" {
  description = "Where the function's log and embedded metrics are."
  value       = aws_cloudwatch_log_group.function.name
}

output "errors_alarm_name" {
  description = "The alarm on invocations that fail as a whole."
  value       = aws_cloudwatch_metric_alarm.errors.alarm_name
}

output "throttles_alarm_name" {
  description = "The alarm on invocations that are throttled."
  value       = aws_cloudwatch_metric_alarm.throttles.alarm_name
}
