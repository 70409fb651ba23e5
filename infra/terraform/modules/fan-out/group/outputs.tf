output "queue_url" {
  description = "The queue's URL."
  value       = aws_sqs_queue.jobs.url
}

output "queue_arn" {
  description = "The queue's ARN."
  value       = aws_sqs_queue.jobs.arn
}

output "queue_name" {
  description = "The queue's name."
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

output "oldest_message_age_alarm_name" {
  description = "The alarm on messages that wait too long."
  value       = aws_cloudwatch_metric_alarm.oldest_message_age.alarm_name
}

output "dead_letter_alarm_name" {
  description = "The alarm on messages in the dead-letter queue."
  value       = aws_cloudwatch_metric_alarm.dead_letters.alarm_name
}

output "dead_letter_age_alarm_name" {
  description = "The alarm on dead letters that will soon be deleted."
  value       = aws_cloudwatch_metric_alarm.dead_letter_age.alarm_name
}

output "kms_key_arns" {
  description = "The keys of the queue and of its dead-letter queue."
  value       = [aws_sqs_queue.jobs.kms_master_key_id, aws_sqs_queue.dead_letters.kms_master_key_id]
}

output "filter_policy" {
  description = "Which jobs the queue takes."
  value       = aws_sns_topic_subscription.jobs.filter_policy
}
