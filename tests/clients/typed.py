"""Sends typed jobs; what mypy must refuse is marked, and each mark that is not needed is an error."""

import json
import sys

import boto3
import orders
from types_boto3_sqs.client import SQSClient

sqs: SQSClient = boto3.client("sqs")
queue_url = sys.argv[1]

order = orders.OrderPlace(
    {
        "orderId": 2**64 - 1,
        "customer": "c-7",
        "lines": [{"sku": "drum", "count": 2, "options": ["maple"]}, {"sku": "stick", "count": 4}],
        "note": None,
        "priority": "today",
        "payment": {"kind": "invoice", "days": 30},
        "labels": {"sent-by": "python"},
        "window": (8, 12),
        "tree": {"children": [{"children": []}]},
        "class": True,
        "gift wrap/~": 1.5,
        "__proto__": "a field like others",
        "": "so is this one",
    }
)


def refused_by_the_type_checker() -> None:
    orders.OrderPlace({"orderId": "7", "customer": "c-7", "lines": []})  # type: ignore[typeddict-item]
    orders.OrderPlace({"orderId": 7, "customer": "c-7"})  # type: ignore[typeddict-item]
    orders.OrderPlace({"orderId": 7, "customer": "c-7", "lines": [], "prio": "today"})  # type: ignore[typeddict-unknown-key]
    orders.OrderPlace({"orderId": 7, "customer": "c-7", "lines": [], "priority": "never"})  # type: ignore[typeddict-item]
    orders.OrderPlaceV1({"orderId": 7})  # type: ignore[typeddict-item,typeddict-unknown-key]
    orders.send(sqs, queue_url, {"type": "order.place"})  # type: ignore[arg-type]
    orders.send(sqs, queue_url, order, delay="5")  # type: ignore[arg-type]


receipts = [
    orders.send(sqs, queue_url, order, idempotency_key="order:7", correlation_id="request-1", attributes={"tenant": "acme"}),
    *orders.send_many(sqs, queue_url, [orders.OrderPlaceV1({"order": "7"}), orders.Entry(orders.Note("free"), delay=1)]),
]
print(json.dumps([receipt.job_id for receipt in receipts]))
