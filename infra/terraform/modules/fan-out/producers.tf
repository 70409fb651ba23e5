locals {
  # SNS and SQS encrypt with a data key that they ask for in the sender's name, and check it by decrypting.
  encrypt = {
    Sid      = "Encrypt"
    Effect   = "Allow"
    Action   = ["kms:GenerateDataKey", "kms:Decrypt"]
    Resource = var.kms_key_arn
  }
}

# The region by `id`: the provider's version 6 has renamed `name` to `region`.
data "aws_region" "current" {}

# Attach it to the roles of publishers.
resource "aws_iam_policy" "producers" {
  name        = "${local.topic_name}-producers"
  description = "Publish jobs to ${local.topic_name}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid      = "Publish"
      Effect   = "Allow"
      Action   = "sns:Publish"
      Resource = aws_sns_topic.events.arn
      }],
      local.has_key ? [merge(local.encrypt, {
        Condition = { StringEquals = { "kms:ViaService" = "sns.${data.aws_region.current.id}.amazonaws.com" } }
      })] : [],
    )
  })
}
