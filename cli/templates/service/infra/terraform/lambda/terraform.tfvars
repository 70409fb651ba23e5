code_s3_bucket = "my-service-code"
code_s3_key    = "my-service-0.1.0.zip"
