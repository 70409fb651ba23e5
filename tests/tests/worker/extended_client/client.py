"""Sends and receives by the public SQS Extended Client: `client.py send|receive QUEUE_URL BUCKET [legacy]`."""

import json
import sys

import boto3
import sqs_extended_client  # noqa: F401  It extends boto3's client of SQS.

action, queue_url, bucket, *options = sys.argv[1:]
sqs = boto3.client("sqs")
sqs.large_payload_support = bucket
sqs.use_legacy_attribute = "legacy" in options

if action == "send":
    tenant = {"tenant": {"DataType": "String", "StringValue": "acme"}}
    sqs.send_message(QueueUrl=queue_url, MessageBody=sys.stdin.read(), MessageAttributes=tenant)
else:
    received = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=5, MessageAttributeNames=["All"])
    for message in received["Messages"]:
        attributes = sorted(message.get("MessageAttributes", {}))
        print(json.dumps({"body": message["Body"], "attributes": attributes}))
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
