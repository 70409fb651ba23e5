vpc_id     = "vpc-00000000000000000"
subnet_ids = ["subnet-00000000000000000", "subnet-00000000000000001"]
image_uri  = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-service:0.1.0"
