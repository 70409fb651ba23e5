output "service_name" {
  description = "The ECS service."
  value       = aws_ecs_service.worker.name
}

output "task_role_arn" {
  description = "The role to which a handler's own permissions are added."
  value       = aws_iam_role.task.arn
}

output "task_role_name" {
  description = "The same role by its name, as aws_iam_role_policy wants it."
  value       = aws_iam_role.task.name
}

output "execution_role_arn" {
  description = "The role with which ECS starts tasks."
  value       = aws_iam_role.execution.arn
}

output "task_definition_arn" {
  description = "The task definition in use."
  value       = aws_ecs_task_definition.worker.arn
}

output "security_group_id" {
  description = "The tasks' security group, for resources that only they may reach."
  value       = aws_security_group.worker.id
}

output "log_group_name" {
  description = "Where the worker's log is."
  value       = aws_cloudwatch_log_group.worker.name
}

output "unattended_alarm_name" {
  description = "The alarm on messages that wait while no worker receives."
  value       = aws_cloudwatch_metric_alarm.unattended.alarm_name
}

output "worker_message_age_alarm_name" {
  description = "The alarm on messages in the worker's hands that are too old, retries included."
  value       = aws_cloudwatch_metric_alarm.message_age.alarm_name
}

output "tasks_missing_alarm_name" {
  description = "The alarm on fewer tasks than should run."
  value       = aws_cloudwatch_metric_alarm.tasks_missing.alarm_name
}

output "cluster_name" {
  description = "The cluster."
  value       = aws_ecs_cluster.worker.name
}

output "auto_scaling_group_name" {
  description = "The instances."
  value       = aws_autoscaling_group.worker.name
}
