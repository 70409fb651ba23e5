output "topic_arn" {
  description = "Where jobs are published."
  value       = aws_sns_topic.events.arn
}

output "visibility_timeout_seconds" {
  description = "visibility_timeout_seconds of the workers' modules."
  value       = var.visibility_timeout_seconds
}

output "first_queue_url" {
  description = "queue_url of the worker's module for the first group."
  value       = module.first.queue_url
}

output "first_queue_arn" {
  description = "queue_arn of the worker's module for the first group."
  value       = module.first.queue_arn
}

output "first_queue_name" {
  description = "queue_name of the worker's module for the first group."
  value       = module.first.queue_name
}

output "first_dead_letter_queue_url" {
  description = "URL of the first dead-letter queue."
  value       = module.first.dead_letter_queue_url
}

output "first_dead_letter_queue_arn" {
  description = "ARN of the first dead-letter queue."
  value       = module.first.dead_letter_queue_arn
}

output "first_dead_letter_queue_name" {
  description = "dead_letter_queue_name of the dashboard's module for the first group."
  value       = module.first.dead_letter_queue_name
}

output "first_oldest_message_age_alarm_name" {
  description = "The alarm on messages of the first queue that wait too long."
  value       = module.first.oldest_message_age_alarm_name
}

output "first_dead_letter_alarm_name" {
  description = "The alarm on dead letters of the first queue."
  value       = module.first.dead_letter_alarm_name
}

output "first_dead_letter_age_alarm_name" {
  description = "The alarm on dead letters of the first queue that will soon be deleted."
  value       = module.first.dead_letter_age_alarm_name
}

output "second_queue_url" {
  description = "queue_url of the worker's module for the second group."
  value       = module.second.queue_url
}

output "second_queue_arn" {
  description = "queue_arn of the worker's module for the second group."
  value       = module.second.queue_arn
}

output "second_queue_name" {
  description = "queue_name of the worker's module for the second group."
  value       = module.second.queue_name
}

output "second_dead_letter_queue_url" {
  description = "URL of the second dead-letter queue."
  value       = module.second.dead_letter_queue_url
}

output "second_dead_letter_queue_arn" {
  description = "ARN of the second dead-letter queue."
  value       = module.second.dead_letter_queue_arn
}

output "second_dead_letter_queue_name" {
  description = "dead_letter_queue_name of the dashboard's module for the second group."
  value       = module.second.dead_letter_queue_name
}

output "second_oldest_message_age_alarm_name" {
  description = "The alarm on messages of the second queue that wait too long."
  value       = module.second.oldest_message_age_alarm_name
}

output "second_dead_letter_alarm_name" {
  description = "The alarm on dead letters of the second queue."
  value       = module.second.dead_letter_alarm_name
}

output "second_dead_letter_age_alarm_name" {
  description = "The alarm on dead letters of the second queue that will soon be deleted."
  value       = module.second.dead_letter_age_alarm_name
}

output "third_queue_url" {
  description = "queue_url of the worker's module for the third group. Empty without one."
  value       = local.has_third ? module.third[0].queue_url : ""
}

output "third_queue_arn" {
  description = "queue_arn of the worker's module for the third group. Empty without one."
  value       = local.has_third ? module.third[0].queue_arn : ""
}

output "third_queue_name" {
  description = "queue_name of the worker's module for the third group. Empty without one."
  value       = local.has_third ? module.third[0].queue_name : ""
}

output "third_dead_letter_queue_url" {
  description = "URL of the third dead-letter queue. Empty without one."
  value       = local.has_third ? module.third[0].dead_letter_queue_url : ""
}

output "third_dead_letter_queue_arn" {
  description = "ARN of the third dead-letter queue. Empty without one."
  value       = local.has_third ? module.third[0].dead_letter_queue_arn : ""
}

output "third_dead_letter_queue_name" {
  description = "dead_letter_queue_name of the dashboard's module for the third group. Empty without one."
  value       = local.has_third ? module.third[0].dead_letter_queue_name : ""
}

output "third_oldest_message_age_alarm_name" {
  description = "The alarm on messages of the third queue that wait too long. Empty without one."
  value       = local.has_third ? module.third[0].oldest_message_age_alarm_name : ""
}

output "third_dead_letter_alarm_name" {
  description = "The alarm on dead letters of the third queue. Empty without one."
  value       = local.has_third ? module.third[0].dead_letter_alarm_name : ""
}

output "third_dead_letter_age_alarm_name" {
  description = "The alarm on dead letters of the third queue that will soon be deleted. Empty without one."
  value       = local.has_third ? module.third[0].dead_letter_age_alarm_name : ""
}

output "producer_policy_arn" {
  description = "The policy to attach to the roles of publishers."
  value       = aws_iam_policy.producers.arn
}

output "operator_policy_arn" {
  description = "The policy to attach to the role of operators who replay dead letters."
  value       = aws_iam_policy.operators.arn
}

output "unreadable_alarm_name" {
  description = "The alarm on messages that are no JSON, or have no attributes to filter by."
  value       = aws_cloudwatch_metric_alarm.unreadable.alarm_name
}

output "lost_alarm_name" {
  description = "The alarm on messages that SNS loses."
  value       = aws_cloudwatch_metric_alarm.lost.alarm_name
}

output "store_table_name" {
  description = "store_table_name of the workers' modules. Empty without a table."
  value       = var.store == "table" ? aws_dynamodb_table.store[0].name : ""
}
