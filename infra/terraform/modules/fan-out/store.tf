# What the workers of all groups remember of jobs: identity holds within a queue, so that copies of a job do not know each other.
# On demand, because the number of requests follows the number of jobs. Items expire by themselves.
resource "aws_dynamodb_table" "store" {
  count = var.store == "table" ? 1 : 0

  name         = "${local.topic_name}-store"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expiration"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  tags = { "drumline:service" = var.service_name }

  # Without it every job whose message SQS delivers twice would run twice.
  lifecycle {
    prevent_destroy = true
  }
}
