# For operators, never for a worker: attach it to the role that may read and replay dead letters.
resource "aws_iam_policy" "operators" {
  name        = "${var.service_name}-operators"
  description = "Read, replay and delete the dead letters of ${local.queue_name}"
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
        Resource = aws_sqs_queue.dead_letters.arn
      },
      {
        Sid      = "BackToTheQueue"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = aws_sqs_queue.jobs.arn
      },
      ],
      # The reasons of dead letters, and the records of operators' actions.
      var.store == "table" ? [{
        Sid      = "UseStore"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.store[0].arn
      }] : [],
    local.encrypts)
  })
}
