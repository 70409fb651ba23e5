output "payload_bucket_name" {
  description = "The bucket; workers take it as payload_bucket, producers as DRUMLINE_PAYLOAD_BUCKET."
  value       = aws_s3_bucket.payloads.id
}

output "payload_bucket_arn" {
  description = "The bucket's ARN."
  value       = aws_s3_bucket.payloads.arn
}

output "payload_producer_policy_arn" {
  description = "What puts payloads may do."
  value       = aws_iam_policy.producers.arn
}

output "payload_reader_policy_arn" {
  description = "What reads payloads may do."
  value       = aws_iam_policy.readers.arn
}
