locals {
  # SQS encrypts with a data key that it asks for in the sender's name, and checks it by decrypting.
  encrypts = local.has_key ? [{
    Sid       = "Encrypt"
    Effect    = "Allow"
    Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "sqs.${data.aws_region.current.id}.amazonaws.com" } }
  }] : []
}

# The region by `id`: the provider's version 6 has renamed `name` to `region`.
data "aws_region" "current" {}

# Attach it to the roles of producers.
resource "aws_iam_policy" "producers" {
  name        = "${var.service_name}-fifo-producers"
  description = "Send jobs to ${local.queue_name}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid      = "Send"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = aws_sqs_queue.jobs.arn
    }], local.encrypts)
  })
}
