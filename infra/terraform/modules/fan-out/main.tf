# A topic whose jobs go to the queues of their groups, by the first part of their type (image.process to the group image) or by
# lists of types, one of which may be in several lists. Two or three groups, each with its queue, dead-letter queue, policies and
# alarms.

locals {
  topic_name = "${var.service_name}-events"
  has_third  = var.third_group != ""
  has_key    = var.kms_key_arn != ""
}

resource "aws_sns_topic" "events" {
  name = local.topic_name
  # Without kms_key_arn the key of SNS in this account. With that no other AWS service can publish here: S3 or EventBridge as
  # publishers need a key whose policy names them.
  kms_master_key_id = local.has_key ? var.kms_key_arn : "alias/aws/sns"

  tags = { "drumline:service" = var.service_name }
}

resource "aws_sns_topic_policy" "events" {
  arn = aws_sns_topic.events.arn
  policy = jsonencode({
    Version = "2012-10-17"
    # Who may publish is said in the publishers' own policies, such as aws_iam_policy.producers.
    Statement = [{
      Sid       = "EncryptedConnectionsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.events.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

module "first" {
  source = "./group"

  service_name               = var.service_name
  topic_arn                  = aws_sns_topic.events.arn
  group                      = var.first_group
  types                      = var.first_types
  filter_on                  = var.filter_on
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.message_retention_seconds
  max_receive_count          = var.max_receive_count
  oldest_message_age_seconds = var.oldest_message_age_seconds
  dead_letter_owner          = var.dead_letter_owner
  kms_key_arn                = var.kms_key_arn
  alarm_topic_arn            = var.alarm_topic_arn
}

module "second" {
  source = "./group"

  service_name               = var.service_name
  topic_arn                  = aws_sns_topic.events.arn
  group                      = var.second_group
  types                      = var.second_types
  filter_on                  = var.filter_on
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.message_retention_seconds
  max_receive_count          = var.max_receive_count
  oldest_message_age_seconds = var.oldest_message_age_seconds
  dead_letter_owner          = var.dead_letter_owner
  kms_key_arn                = var.kms_key_arn
  alarm_topic_arn            = var.alarm_topic_arn
}

module "third" {
  source = "./group"
  count  = local.has_third ? 1 : 0

  service_name               = var.service_name
  topic_arn                  = aws_sns_topic.events.arn
  group                      = var.third_group
  types                      = var.third_types
  filter_on                  = var.filter_on
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.message_retention_seconds
  max_receive_count          = var.max_receive_count
  oldest_message_age_seconds = var.oldest_message_age_seconds
  dead_letter_owner          = var.dead_letter_owner
  kms_key_arn                = var.kms_key_arn
  alarm_topic_arn            = var.alarm_topic_arn
}
