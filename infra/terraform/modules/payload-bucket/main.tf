# A bucket for payloads that are too large for SQS, which expires them once no message can need them any more. The workers'
# modules take its name as payload_bucket.

# The rest of its name is random, since names are shared with all the world.
resource "aws_s3_bucket" "payloads" {
  bucket_prefix = "${substr(var.service_name, 0, 20)}-payloads-"

  tags = { "drumline:service" = var.service_name }

  # Waiting messages and dead letters would have dangling pointers.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "payloads" {
  bucket = aws_s3_bucket.payloads.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "payloads" {
  bucket = aws_s3_bucket.payloads.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "payloads" {
  bucket = aws_s3_bucket.payloads.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# The only rule that deletes payloads: a replay or another queue may need the payload of a done message.
resource "aws_s3_bucket_lifecycle_configuration" "payloads" {
  bucket = aws_s3_bucket.payloads.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "payloads" {
  bucket = aws_s3_bucket.payloads.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EncryptedConnectionsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.payloads.arn, "${aws_s3_bucket.payloads.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# Attach it to the roles of producers.
resource "aws_iam_policy" "producers" {
  name_prefix = "drumline-payload-producers-"
  description = "Put payloads of ${var.service_name} into their bucket"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "PutPayloads"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "${aws_s3_bucket.payloads.arn}/*"
    }]
  })
}

# Attach it to the roles of operators that look into dead letters. Workers have the same by their own modules.
resource "aws_iam_policy" "readers" {
  name_prefix = "drumline-payload-readers-"
  description = "Read payloads of ${var.service_name}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadPayloads"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.payloads.arn}/*"
      },
      {
        Sid      = "NoticeMissingPayloads"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.payloads.arn
      },
    ]
  })
}
