"""Does with an insert client what the test says: reads one JSON document, and prints the outcome as another one."""

import importlib
import json
import sys
from dataclasses import asdict
from typing import Any, Dict, List, cast

import boto3
from botocore.config import Config

OPTIONS = {
    "idempotencyKey": "idempotency_key",
    "correlationId": "correlation_id",
    "jobId": "job_id",
}


def revived(value: Any) -> Any:
    """Makes values that JSON cannot express."""
    if isinstance(value, list):
        return [revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$integer"}:
        return int(value["$integer"])
    if set(value) == {"$float"}:
        return float(value["$float"])
    if set(value) == {"$halves"}:
        return chr(int(value["$halves"], 16))
    if set(value) == {"$bytes"}:
        return bytes(value["$bytes"])
    if set(value) == {"$nested"}:
        nested: Any = 1
        for _ in range(value["$nested"]):
            nested = [nested]
        return nested
    return {name: revived(inner) for name, inner in value.items()}


def job_of(client: Any, asked: Dict[str, Any]) -> Any:
    jobs = [kind for kind in vars(client).values() if getattr(kind, "TYPE", None) == asked["type"]]
    newest = max(kind.VERSION for kind in jobs)
    return next(kind for kind in jobs if kind.VERSION == asked.get("version", newest))(revived(asked["payload"]))


def entry_of(client: Any, asked: Dict[str, Any]) -> Any:
    options = {OPTIONS.get(name, name): revived(value) for name, value in asked.items() if name != "job"}
    return client.Entry(job_of(client, asked["job"]), **options)


def sent(client: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    sqs = boto3.client(
        "sqs",
        endpoint_url=asked["endpoint"],
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=asked.get("readTimeout", 20)),
    )
    texts: List[str] = []
    guards = client.Guards(deny=asked.get("deny", False), allow=asked.get("allow", []), warn=texts.append)
    jobs = [entry_of(client, entry) for entry in asked["entries"]]
    outcome: Dict[str, Any] = {"warnings": texts}
    for _ in range(asked.get("rounds", 1)):
        try:
            outcome["receipts"] = [asdict(receipt) for receipt in client.send_many(sqs, asked["queueUrl"], jobs, guards=guards)]
            return outcome
        except client.InvalidJobs as error:
            return {**outcome, "invalid": [problem._asdict() for problem in error.problems], "text": str(error)}
        except client.PartialFailure as error:
            failed = [
                {
                    "position": failure.position,
                    "job_id": failure.entry.job_id,
                    "code": failure.code,
                    "message": failure.message,
                    "sender_fault": failure.sender_fault,
                    "in_doubt": failure.in_doubt,
                }
                for failure in error.failed
            ]
            sent = [asdict(receipt) for receipt in error.sent]
            outcome = {**outcome, "sent": sent, "failed": failed, "text": str(error)}
            jobs = [failure.entry for failure in error.failed]
    return outcome


def findings(client: Any, asked: Dict[str, Any]) -> List[Any]:
    found = []
    for case in asked["cases"]:
        texts: List[str] = []
        guards = client.Guards(allow=case.get("allow", []), warn=texts.append)
        payload = revived(case["payload"])
        places = [[finding.pointer, finding.kind] for finding in guards.findings(case["type"], payload)]
        errors = [f"{case['type']}: {problem.text}" for problem in guards.problems(0, case["type"], payload)]
        found.append({"places": sorted(places), "texts": sorted(set(texts + errors))})
    return found


def schema_problems(client: Any, asked: Dict[str, Any]) -> List[Any]:
    cases = asked["cases"]
    return [sorted(client.schema_problems(case["type"], case.get("version", 1), revived(case["payload"]))) for case in cases]


def main() -> None:
    asked = cast(Dict[str, Any], json.load(sys.stdin))
    client = importlib.import_module(asked["client"])
    does = {"send": sent, "findings": findings, "schemas": schema_problems}[asked["does"]]
    json.dump(does(client, asked), sys.stdout)


main()
