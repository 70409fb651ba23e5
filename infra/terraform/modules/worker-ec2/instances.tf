# The cluster, and the instances that tasks run on: as many as the tasks need.

resource "aws_ecs_cluster" "worker" {
  name = local.worker_name

  # Scaling needs the count of running tasks.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  tags = local.tags
}

# The permissions of the instances' ECS agent. Tasks cannot reach it: ECS_AWSVPC_BLOCK_IMDS below.
resource "aws_iam_role" "instance" {
  name_prefix = "drumline-instance-"
  description = "What the ECS agent of the instances of ${local.worker_name} may do"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "instance" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "drumline-instance-"
  role        = aws_iam_role.instance.name

  tags = local.tags
}

resource "aws_security_group" "instance" {
  name_prefix = "drumline-instance-"
  description = "${local.worker_name} instances: out by HTTPS only"
  vpc_id      = var.vpc_id

  egress {
    description = "ECS, CloudWatch Logs and the registry of the image"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = local.tags
}

locals {
  ami_folder = var.architecture == "arm64" ? "arm64/" : ""
}

resource "aws_launch_template" "worker" {
  name_prefix   = "${local.worker_name}-"
  instance_type = var.instance_type
  # Looked up at each launch, so that a new instance has the newest image without a change here.
  image_id               = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/${local.ami_folder}recommended/image_id"
  vpc_security_group_ids = [aws_security_group.instance.id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted   = true
      volume_type = "gp3"
      volume_size = 30
    }
  }

  user_data = base64encode(<<-SCRIPT
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<'CONFIG'
    ECS_CLUSTER=${aws_ecs_cluster.worker.name}
    ECS_AWSVPC_BLOCK_IMDS=true
    CONFIG
  SCRIPT
  )

  tag_specifications {
    resource_type = "instance"
    tags          = local.tags
  }

  tag_specifications {
    resource_type = "volume"
    tags          = local.tags
  }

  tags = local.tags
}

resource "aws_autoscaling_group" "worker" {
  name_prefix         = "${local.worker_name}-"
  min_size            = 0
  max_size            = var.max_instances
  vpc_zone_identifier = var.subnet_ids

  launch_template {
    id      = aws_launch_template.worker.id
    version = aws_launch_template.worker.latest_version
  }

  tag {
    key                 = "drumline:service"
    value               = var.service_name
    propagate_at_launch = true
  }

  # ECS adds this one, and Terraform would take it away.
  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  # ECS decides how many there are.
  lifecycle {
    ignore_changes = [desired_capacity]
  }

  # The agents need their rights from the first instance on, and at destroy until the last task has stopped: without them
  # they cannot report it, and the service drains until a timeout.
  depends_on = [aws_iam_role_policy_attachment.instance]
}

resource "aws_ecs_capacity_provider" "worker" {
  name = local.worker_name

  auto_scaling_group_provider {
    auto_scaling_group_arn = aws_autoscaling_group.worker.arn
    # Instances protected from scale-in would outlive the capacity provider, and hold up the end of everything else.
    # Draining holds an instance that goes until its tasks have stopped.
    managed_termination_protection = "DISABLED"
    managed_draining               = "ENABLED"

    managed_scaling {
      status          = "ENABLED"
      target_capacity = 100
    }
  }

  tags = local.tags
}

resource "aws_ecs_cluster_capacity_providers" "worker" {
  cluster_name       = aws_ecs_cluster.worker.name
  capacity_providers = [aws_ecs_capacity_provider.worker.name]

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.worker.name
    weight            = 1
  }
}
