mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-west-1"
    }
  }

  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }
}

# Without `override_during = plan`: an ARN is unknown here, as in a first plan on AWS.
run "a_policy_of_the_same_configuration_can_be_attached" {
  command = plan

  module {
    source = "./tests/with_policy"
  }
}
