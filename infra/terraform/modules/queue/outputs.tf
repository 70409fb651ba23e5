output "queue_url" {
  description = "The queue's URL, for producers and for a worker's module."
  value       = aws_sqs_queue.jobs.url
}

output "queue_arn" {
  description = "The queue's ARN."
  value       = aws_sqs_queue.jobs.arn
}

output "queue_name" {
  description = "The queue's name, as in the dimensions of its metrics."
  value       = aws_sqs_queue.jobs.name
}

output "dead_letter_queue_url" {
  description = "The dead-letter queue's URL."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_arn" {
  description = "The dead-letter queue's ARN."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dead_letter_queue_name" {
  description = "The dead-letter queue's name."
  value       = aws_sqs_queue.dead_letters.name
}

output "visibility_timeout_seconds" {
  description = "How long a received message stays hidden: workers are given the same."
  value       = var.visibility_timeout_seconds
}

output "store_table_name" {
  description = "store_table_name of a worker's module. Empty without a table."
  value       = var.store == "table" ? aws_dynamodb_table.store[0].name : ""
}

output "producer_policy_arn" {
  description = "The policy to attach to the roles of producers."
  value       = aws_iam_policy.producers.arn
}

output "operator_policy_arn" {
  description = "The policy that allows an operator to read and replay dead letters."
  value       = aws_iam_policy.operators.arn
}

output "dead_letter_alarm_name" {
  description = "The alarm on messages in the dead-letter queue."
  value       = aws_cloudwatch_metric_alarm.dead_letters.alarm_name
}

output "dead_letter_age_alarm_name" {
  description = "The alarm on dead letters that will soon be deleted."
  value       = aws_cloudwatch_metric_alarm.dead_letter_age.alarm_name
}

output "oldest_message_age_alarm_name" {
  description = "The alarm on messages that wait too long."
  value       = aws_cloudwatch_metric_alarm.oldest_message_age.alarm_name
}
