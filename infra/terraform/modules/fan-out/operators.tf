# For operators, never for a worker: attach it to the role that may read and replay dead letters.
resource "aws_iam_policy" "operators" {
  name        = "${local.topic_name}-operators"
  description = "Read, replay and delete the dead letters of ${var.service_name}'s groups"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "DeadLetters"
        Effect = "Allow"
        Action = [
          "sqs:StartMessageMoveTask",
          "sqs:ListMessageMoveTasks",
          "sqs:CancelMessageMoveTask",
          "sqs:ReceiveMessage",
          "sqs:ChangeMessageVisibility",
          "sqs:DeleteMessage",
          "sqs:GetQueueAttributes",
          "sqs:GetQueueUrl",
          "sqs:ListDeadLetterSourceQueues",
        ]
        Resource = concat(
          [module.first.dead_letter_queue_arn, module.second.dead_letter_queue_arn],
          local.has_third ? [module.third[0].dead_letter_queue_arn] : [],
        )
      },
      {
        Sid    = "BackToTheQueues"
        Effect = "Allow"
        Action = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = concat(
          [module.first.queue_arn, module.second.queue_arn],
          local.has_third ? [module.third[0].queue_arn] : [],
        )
      },
      ],
      # The reasons of dead letters, and the records of operators' actions.
      var.store == "table" ? [{
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.store[0].arn
      }] : [],
      local.has_key ? [merge(local.encrypt, {
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${data.aws_region.current.id}.amazonaws.com" } }
      })] : [],
    )
  })
}
