#!/bin/sh
# Run by LocalStack's container once it is up: a queue to begin with, and its DLQ. Both are there after a restart too.
set -eu
awslocal sqs create-queue --queue-name jobs-dlq
awslocal sqs create-queue --queue-name jobs --attributes \
    '{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:jobs-dlq\",\"maxReceiveCount\":\"10\"}"}'
