# What workers remember of jobs. On demand, since a store is asked as often as there are jobs. Items expire by themselves.
resource "aws_dynamodb_table" "store" {
  count = var.store == "table" ? 1 : 0

  name         = "${var.service_name}-fifo-store"
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
