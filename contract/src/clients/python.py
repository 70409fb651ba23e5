"""Insert client for Drumline jobs.

HEADER
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import time
import warnings
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Set,
    Tuple,
    TypedDict,
    Union,
)

# contract: begin


class ExamplePayload(TypedDict):
    id: str


@dataclass(frozen=True)
class Example:
    """A job of type `example`, version 1."""

    payload: ExamplePayload
    TYPE: ClassVar[str] = "example"
    VERSION: ClassVar[int] = 1


Job = Union[Example]

_SCHEMAS: Dict[Tuple[str, int], Any] = {
    ("example", 1): {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    },
}

_TABLES: Dict[str, Any] = {}

# contract: end

AttributeValue = Union[str, int, float, bytes]


class SqsClient(Protocol):
    """The part of boto3's `client("sqs")` that this file calls."""

    def send_message_batch(self, *, QueueUrl: str, Entries: Any) -> Any: ...


@dataclass(frozen=True)
class Entry:
    """A job with options of its own. Sending the same entry again sends the same job: it keeps its `job_id`."""

    job: Job
    delay: Optional[int] = None
    """Seconds before a worker can receive it: 0 to 900, and none on a FIFO queue."""
    group: Optional[str] = None
    """The message group: needed on a FIFO queue, a fair-queue tenant elsewhere."""
    dedup: Optional[str] = None
    """The deduplication ID of a FIFO queue; by default the job's ID."""
    idempotency_key: Optional[str] = None
    """The key under which the job's effect happens once; by default the job's ID."""
    correlation_id: Optional[str] = None
    """The ID that ties the job to the request that caused it."""
    attributes: Optional[Mapping[str, AttributeValue]] = None
    """Message attributes: text, numbers, or bytes."""
    job_id: Optional[str] = None
    """The job's ID; by default a new ULID."""


@dataclass(frozen=True)
class Receipt:
    """SQS has confirmed this job."""

    position: int
    job_id: str
    message_id: str
    sequence_number: Optional[str]


@dataclass(frozen=True)
class Failure:
    """SQS has not confirmed this job. To send it again, pass `entry` to `send_many`: a worker then knows a second copy."""

    position: int
    entry: Entry
    code: str
    message: str
    sender_fault: bool
    """SQS refuses this job; sending it again unchanged does not help."""
    in_doubt: bool
    """SQS may have taken the job: its answer was lost."""


class PartialFailure(Exception):
    """Some jobs were not sent, or not for certain. `sent` and `failed` together name each job of the call exactly once."""

    def __init__(self, sent: List[Receipt], failed: List[Failure]) -> None:
        self.sent = sent
        self.failed = failed
        first = failed[0]
        of = f"{len(failed)} of {len(sent) + len(failed)} jobs were not sent"
        name = f"job {first.position} ({first.entry.job.TYPE})"
        super().__init__(f"{of}; the first is {name}: {first.code}: {first.message}")


class Problem(NamedTuple):
    """A reason why a job is not sent, or why a guard warns of it."""

    position: int
    job_type: str
    pointer: str
    """The RFC 6901 pointer into the payload; empty for the payload itself and for options."""
    kind: str
    text: str


class InvalidJobs(ValueError):
    """Some jobs may not be sent. SQS was not called: no job of the call has been sent."""

    def __init__(self, problems: List[Problem]) -> None:
        self.problems = problems
        lines = [f"job {problem.position} ({problem.job_type}): {problem.text}" for problem in problems]
        super().__init__("no job was sent:\n" + "\n".join(lines))


class GuardWarning(UserWarning):
    """A payload has something that seldom belongs into a queue."""


# guards: begin
@dataclass
class Guards:
    """Finds in payloads what does not belong into a queue. Secrets are errors; the rest warns once for each type and kind."""

    deny: bool = False
    """Everything found is an error."""
    allow: Sequence[Tuple[str, str]] = ()
    """Fields that may have what is found there: job type and pointer, in which `*` stands for any one segment."""
    warn: Optional[Callable[[str], None]] = None
    """Receives the warnings; by default Python's `warnings` does."""
    _warned: Set[Tuple[str, str]] = field(default_factory=set, repr=False)

    def findings(self, job_type: str, payload: Any) -> List[Tuple[str, str]]:
        """Returns pointer and kind of everything found that is not allowed."""
        return []

    def problems(self, position: int, job_type: str, payload: Any) -> Iterator[Problem]:
        """Warns of findings, and returns those that are errors."""
        return iter(())


# guards: end

DEFAULT_GUARDS = Guards()


def send(
    client: SqsClient,
    queue_url: str,
    job: Job,
    *,
    delay: Optional[int] = None,
    group: Optional[str] = None,
    dedup: Optional[str] = None,
    idempotency_key: Optional[str] = None,
    correlation_id: Optional[str] = None,
    attributes: Optional[Mapping[str, AttributeValue]] = None,
    guards: Guards = DEFAULT_GUARDS,
) -> Receipt:
    """Sends a job.

    Raises `InvalidJobs` if it may not be sent, and `PartialFailure` if SQS does not confirm it.
    """
    entry = Entry(job, delay, group, dedup, idempotency_key, correlation_id, attributes)
    return send_many(client, queue_url, [entry], guards=guards)[0]


def send_many(
    client: SqsClient,
    queue_url: str,
    jobs: Iterable[Union[Job, Entry]],
    *,
    delay: Optional[int] = None,
    group: Optional[str] = None,
    correlation_id: Optional[str] = None,
    attributes: Optional[Mapping[str, AttributeValue]] = None,
    guards: Guards = DEFAULT_GUARDS,
) -> List[Receipt]:
    """Sends jobs in batches, and retries those that fail in passing. The options are for jobs without an option of their own.

    Returns the receipts in the order of the jobs. All jobs are checked before the first one is sent.

    Raises `InvalidJobs` if any may not be sent, and `PartialFailure` if SQS does not confirm all of them. On a FIFO queue a
    job that is retried can arrive after later ones of its group; send those of which the order matters one by one.
    """
    entries = []
    for job in jobs:
        entry = job if isinstance(job, Entry) else Entry(job)
        entries.append(
            replace(
                entry,
                delay=delay if entry.delay is None else entry.delay,
                group=group if entry.group is None else entry.group,
                correlation_id=correlation_id if entry.correlation_id is None else entry.correlation_id,
                attributes=attributes if entry.attributes is None else entry.attributes,
                job_id=entry.job_id or _ulid(),
            )
        )
    problems: List[Problem] = []
    messages = [_prepare(position, entry, queue_url, guards, problems) for position, entry in enumerate(entries)]
    if problems:
        raise InvalidJobs(problems)
    sent: List[Receipt] = []
    failed: List[Failure] = []
    cause: Optional[Exception] = None
    for batch in _batches(messages):
        if cause is None:
            cause = _send_batch(client, queue_url, batch, sent, failed)
        else:
            text = f"not tried after {_code(cause)}"
            failed.extend(Failure(message.position, message.entry, "NotTried", text, False, False) for message in batch)
    sent.sort(key=lambda receipt: receipt.position)
    failed.sort(key=lambda failure: failure.position)
    if failed:
        raise PartialFailure(sent, failed) from cause
    return sent


# What SQS takes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
_MAX_BYTES = 1_048_576
_MAX_ENTRIES = 10
_MAX_ATTRIBUTES = 10
_MAX_NAME = 256
_MAX_DELAY = 900
_MAX_ID = 128
# The longest idempotency key of a worker, in bytes.
_MAX_KEY_BYTES = 1024
# The deepest payload that a worker reads.
_MAX_DEPTH = 127
# Attributes by which a worker decodes a message: they would make another job of it.
_DECODING = ("messageType", "contentEncoding", "SQSLargePayloadSize", "ExtendedPayloadSize")
# JSON escapes control characters. SQS refuses the last two, and half of a surrogate pair is no character.
_FORBIDDEN = re.compile("[\ud800-\udfff\ufffe\uffff]")
_FORBIDDEN_IN_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_QUEUE_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class _Message:
    position: int
    entry: Entry
    job_id: str
    bytes: int
    request: Dict[str, Any]


def _prepare(position: int, entry: Entry, queue_url: str, guards: Guards, problems: List[Problem]) -> Optional[_Message]:
    """Returns the message of an entry, or adds to the problems."""
    job, job_id = entry.job, entry.job_id or ""
    before = len(problems)

    def refuse(pointer: str, kind: str, text: str) -> None:
        problems.append(Problem(position, job.TYPE, pointer, kind, text))

    for pointer, kind, text in _json_problems(job.payload, ""):
        refuse(pointer, kind, f"payload{pointer} {text}")
    if len(problems) > before:
        return None
    for pointer, kind, text in schema_errors(job.TYPE, job.VERSION, job.payload):
        refuse(pointer, kind, f"payload{pointer} {text}")
    problems.extend(guards.problems(position, job.TYPE, job.payload))
    for kind, text in _option_problems(entry, queue_url.endswith(".fifo")):
        refuse("", kind, text)
    if len(problems) > before:
        return None
    envelope: Dict[str, Any] = {"jobId": job_id, "type": job.TYPE, "schemaVersion": job.VERSION}
    if entry.idempotency_key is not None:
        envelope["idempotencyKey"] = entry.idempotency_key
    if entry.correlation_id is not None:
        envelope["correlationId"] = entry.correlation_id
    envelope["createdAt"] = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    envelope["payload"] = job.payload
    body = _json(envelope)
    request: Dict[str, Any] = {"MessageBody": body}
    if entry.delay is not None:
        request["DelaySeconds"] = entry.delay
    if entry.group is not None:
        request["MessageGroupId"] = entry.group
    if queue_url.endswith(".fifo"):
        # The same for all tries: if an answer was lost, SQS drops the second message.
        request["MessageDeduplicationId"] = entry.dedup or job_id
    size = len(body.encode())
    if entry.attributes:
        values = {name: _attribute(value) for name, value in entry.attributes.items()}
        request["MessageAttributes"] = values
        for name, value in values.items():
            content = value.get("BinaryValue") or value["StringValue"].encode()
            size += len(name) + len(value["DataType"]) + len(content)
    if size > _MAX_BYTES:
        refuse("", "size", f"{size} bytes are more than SQS's {_MAX_BYTES}: put the data into S3 and send a reference")
        return None
    return _Message(position, entry, job_id, size, request)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _escaped(segment: object) -> str:
    return "/" + str(segment).replace("~", "~0").replace("/", "~1")


def _json_problems(value: Any, pointer: str, depth: int = 0) -> Iterator[Tuple[str, str, str]]:
    """Finds what JSON, SQS or a worker cannot take, as pointer, kind and text."""
    if isinstance(value, str):
        found = _FORBIDDEN.search(value)
        if found:
            yield pointer, "character", f"has the character U+{ord(found.group()):04X}, which SQS does not take: leave it out"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield pointer, "json", f"is {value}, which JSON cannot express"
    elif isinstance(value, (dict, list, tuple)):
        if depth == _MAX_DEPTH:
            yield pointer, "depth", f"is nested deeper than the {_MAX_DEPTH} levels that a worker reads"
        elif isinstance(value, dict):
            for name, inner in value.items():
                if not isinstance(name, str):
                    yield pointer, "json", f"has the name {name!r}, and names in JSON are texts"
                elif _FORBIDDEN.search(name):
                    yield pointer, "character", f"has the name {name!r}, of which SQS does not take all characters"
                else:
                    yield from _json_problems(inner, pointer + _escaped(name), depth + 1)
        else:
            for index, inner in enumerate(value):
                yield from _json_problems(inner, pointer + _escaped(index), depth + 1)
    elif not (value is None or isinstance(value, int)):
        yield pointer, "json", f"is a {type(value).__name__}, which JSON cannot express"


def _option_problems(entry: Entry, is_fifo: bool) -> Iterator[Tuple[str, str]]:
    """Finds options that SQS or a worker would refuse, as kind and text."""
    if entry.delay is not None:
        if is_fifo:
            yield "delay", "a FIFO queue delays no single job: leave the delay out"
        elif not isinstance(entry.delay, int) or not 0 <= entry.delay <= _MAX_DELAY:
            yield "delay", f"a delay is 0 to {_MAX_DELAY} whole seconds, not {entry.delay!r}"
    if is_fifo and entry.group is None:
        yield "group", "a FIFO queue needs a group"
    if not is_fifo and entry.dedup is not None:
        yield "dedup", "only a FIFO queue has deduplication IDs: leave it out, or use an idempotency key"
    for kind, queue_id in (("group", entry.group), ("dedup", entry.dedup)):
        if queue_id is not None and not _QUEUE_ID.fullmatch(queue_id):
            yield kind, f"a {kind} is 1 to {_MAX_ID} ASCII letters, digits and punctuation marks, not {queue_id!r}"
    named = (
        ("idempotency_key", entry.idempotency_key),
        ("correlation_id", entry.correlation_id),
        ("job_id", entry.job_id),
    )
    for kind, value in named:
        if value is None:
            continue
        if not value or _FORBIDDEN.search(value):
            yield kind, f"{kind} is empty, or has a character that SQS does not take"
        elif len(value.encode()) > _MAX_KEY_BYTES:
            yield kind, f"{kind} has more than {_MAX_KEY_BYTES} bytes"
    yield from _attribute_problems(entry.attributes or {})


def _attribute_problems(attributes: Mapping[str, AttributeValue]) -> Iterator[Tuple[str, str]]:
    if len(attributes) > _MAX_ATTRIBUTES:
        yield "attribute", f"{len(attributes)} attributes are more than SQS's {_MAX_ATTRIBUTES}"
    for name, value in attributes.items():
        text = value if isinstance(value, str) else ""
        if len(name) > _MAX_NAME or not _ATTRIBUTE_NAME.fullmatch(name):
            yield "attribute", f"the attribute name {name!r} is not of 1 to {_MAX_NAME} letters, digits, _, - and single periods"
        elif name.lower().startswith(("aws.", "amazon.")):
            yield "attribute", f"the attribute name {name!r} is reserved by AWS"
        elif name in _DECODING:
            yield "attribute", f"the attribute {name!r} would make another job of this one: leave it out"
        elif isinstance(value, bool) or not isinstance(value, (str, int, float, bytes)):
            yield "attribute", f"the attribute {name} is a {type(value).__name__}: give it a text, a number or bytes"
        elif value in ("", b""):
            yield "attribute", f"the attribute {name} is empty, which SQS does not take"
        elif isinstance(value, float) and not math.isfinite(value):
            yield "attribute", f"the attribute {name} is {value}, which is no number"
        elif _FORBIDDEN_IN_TEXT.search(text):
            yield "attribute", f"the attribute {name} has a character that SQS does not take"


def _attribute(value: AttributeValue) -> Dict[str, Any]:
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": value}
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "Number", "StringValue": str(value)}


# Sending.

# A batch of which so many tries in a row have sent nothing is not sent by another one soon.
_TRIES = 8
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0
_THROTTLED = (
    "RequestThrottled",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "OverLimit",
    "KmsThrottled",
    "SlowDown",
)
# Base classes of botocore for connections that fail.
_UNREACHABLE = ("HTTPClientError", "ConnectionError")


def _batches(messages: Iterable[Optional[_Message]]) -> Iterator[List[_Message]]:
    batch: List[_Message] = []
    size = 0
    for message in messages:
        if message is None:
            continue
        if batch and (len(batch) == _MAX_ENTRIES or size + message.bytes > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.bytes
    if batch:
        yield batch


def _send_batch(
    client: SqsClient, queue_url: str, batch: List[_Message], sent: List[Receipt], failed: List[Failure]
) -> Optional[Exception]:
    """Sends a batch until each entry is sent or refused. Returns the error after which further batches are useless."""
    left = batch
    in_doubt = False
    for attempt in range(1, _TRIES + 1):
        if attempt > 1:
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))))
        entries = [{"Id": str(index), **message.request} for index, message in enumerate(left)]
        try:
            answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except Exception as error:
            may_be_taken, passes = _nature(error)
            in_doubt = in_doubt or may_be_taken
            if passes and attempt < _TRIES:
                continue
            failed.extend(
                Failure(message.position, message.entry, _code(error), str(error), False, in_doubt) for message in left
            )
            return error
        successes = {success["Id"]: success for success in answer.get("Successful") or []}
        failures = {failure["Id"]: failure for failure in answer.get("Failed") or []}
        again: List[_Message] = []
        for index, message in enumerate(left):
            success, failure = successes.get(str(index)), failures.get(str(index))
            if success is not None:
                number = success.get("SequenceNumber")
                sent.append(Receipt(message.position, message.job_id, success["MessageId"], number))
                continue
            if failure is None:
                failure = {"Code": "NotMentioned", "Message": "the answer does not mention this job"}
            code, by_sender = str(failure.get("Code", "")), bool(failure.get("SenderFault", False))
            if attempt < _TRIES and (not by_sender or code.rpartition(".")[2] in _THROTTLED):
                again.append(message)
            else:
                text = str(failure.get("Message") or "")
                failed.append(Failure(message.position, message.entry, code, text, by_sender, in_doubt))
        left = again
        if not left:
            break
    return None


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    details = response.get("Error", {}) if isinstance(response, dict) else {}
    code = str(details.get("Code") or type(error).__name__)
    return code.rpartition("#")[2].rpartition(".")[2]


def _nature(error: Exception) -> Tuple[bool, bool]:
    """Returns whether SQS may have taken the batch, and whether the error may pass."""
    if _code(error) in _THROTTLED:
        return False, True
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        return status >= 500, status >= 500 or status == 429
    is_unreachable = any(base.__name__ in _UNREACHABLE for base in type(error).__mro__)
    return is_unreachable, is_unreachable


_ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _ulid() -> str:
    """Returns a new ULID: 48 bits of milliseconds and 80 random ones, by five bits a character."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ULID_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


# Schemas: the keywords of JSON Schema that contracts use.


def schema_errors(job_type: str, version: int, payload: Any) -> List[Tuple[str, str, str]]:
    """Returns the errors of a payload by the schema of its type and version, as pointer, keyword and text."""
    schema = _SCHEMAS[job_type, version]
    return [] if schema is None else list(_errors(schema, schema, payload, ""))


def _errors(root: Any, schema: Any, value: Any, at: str) -> Iterator[Tuple[str, str, str]]:
    if schema is True:
        return
    if schema is False:
        yield at, "falseSchema", "is not allowed"
        return
    if "$ref" in schema:
        yield from _errors(root, _resolved(root, schema["$ref"]), value, at)
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_is(name, value) for name in types):
            yield at, "type", f"is {_shown(value)}, and should be {' or '.join(types)}"
    if "enum" in schema and _canonical(value) not in [_canonical(item) for item in schema["enum"]]:
        yield at, "enum", f"is {_shown(value)}, and should be one of {', '.join(_json(item) for item in schema['enum'])}"
    if "const" in schema and _canonical(value) != _canonical(schema["const"]):
        yield at, "const", f"is {_shown(value)}, and should be {_json(schema['const'])}"
    if isinstance(value, str):
        yield from _text_errors(schema, value, at)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number_errors(schema, value, at)
    elif isinstance(value, (list, tuple)):
        yield from _array_errors(root, schema, value, at)
    elif isinstance(value, dict):
        yield from _object_errors(root, schema, value, at)
    for inner in schema.get("allOf", []):
        yield from _errors(root, inner, value, at)
    if "anyOf" in schema and not any(_fits(root, inner, value, at) for inner in schema["anyOf"]):
        yield at, "anyOf", _no_alternative(root, schema["anyOf"], value, at)
    if "oneOf" in schema:
        fitting = sum(_fits(root, inner, value, at) for inner in schema["oneOf"])
        if fitting == 0:
            yield at, "oneOf", _no_alternative(root, schema["oneOf"], value, at)
        elif fitting > 1:
            yield at, "oneOf", f"fits {fitting} of the alternatives, and should fit one"
    if "not" in schema and _fits(root, schema["not"], value, at):
        yield at, "not", "is what is excluded"


def _fits(root: Any, schema: Any, value: Any, at: str) -> bool:
    return next(_errors(root, schema, value, at), None) is None


def _no_alternative(root: Any, alternatives: Sequence[Any], value: Any, at: str) -> str:
    """The only alternative beside null is what was meant."""
    meant = [inner for inner in alternatives if inner is True or inner is False or inner.get("type") != "null"]
    if len(meant) == 1:
        pointer, _, text = next(_errors(root, meant[0], value, at))
        return f"does not fit: payload{pointer} {text}"
    return f"is {_shown(value)}, which fits none of the {len(alternatives)} alternatives"


def _resolved(root: Any, reference: str) -> Any:
    found = root
    for segment in reference.lstrip("#").split("/")[1:]:
        found = found[segment.replace("~1", "/").replace("~0", "~")]
    return found


def _is(name: str, value: Any) -> bool:
    if name == "null":
        return value is None
    if name == "boolean":
        return isinstance(value, bool)
    if name == "string":
        return isinstance(value, str)
    if name == "array":
        return isinstance(value, (list, tuple))
    if name == "object":
        return isinstance(value, dict)
    # 1.0 is written as it is, and a worker reads no integer from that.
    numbers = (int,) if name == "integer" else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool)


def _text_errors(schema: Any, value: str, at: str) -> Iterator[Tuple[str, str, str]]:
    if len(value) < schema.get("minLength", 0):
        yield at, "minLength", f"has {len(value)} characters, and should have {schema['minLength']} at least"
    if len(value) > schema.get("maxLength", math.inf):
        yield at, "maxLength", f"has {len(value)} characters, and should have {schema['maxLength']} at most"
    if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
        yield at, "pattern", f"is {_shown(value)}, which does not match {schema['pattern']}"


def _pattern(pattern: str) -> re.Pattern[str]:
    # In other languages `$` is the end of the text only.
    end = re.sub(r"(?<!\\)((?:\\\\)*)\$$", r"\1\\Z", pattern)
    return re.compile(end, re.ASCII)


def _number_errors(schema: Any, value: float, at: str) -> Iterator[Tuple[str, str, str]]:
    if "minimum" in schema and value < schema["minimum"]:
        yield at, "minimum", f"is {value}, and should be {schema['minimum']} at least"
    if "maximum" in schema and value > schema["maximum"]:
        yield at, "maximum", f"is {value}, and should be {schema['maximum']} at most"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield at, "exclusiveMinimum", f"is {value}, and should be more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield at, "exclusiveMaximum", f"is {value}, and should be less than {schema['exclusiveMaximum']}"


def _array_errors(root: Any, schema: Any, value: Sequence[Any], at: str) -> Iterator[Tuple[str, str, str]]:
    if len(value) < schema.get("minItems", 0):
        yield at, "minItems", f"has {len(value)} items, and should have {schema['minItems']} at least"
    if len(value) > schema.get("maxItems", math.inf):
        yield at, "maxItems", f"has {len(value)} items, and should have {schema['maxItems']} at most"
    if schema.get("uniqueItems") and len({_canonical(item) for item in value}) < len(value):
        yield at, "uniqueItems", "has an item twice"
    first = schema.get("prefixItems", [])
    for index, (inner, item) in enumerate(zip(first, value)):
        yield from _errors(root, inner, item, at + _escaped(index))
    rest = schema.get("items", True)
    if rest is False and len(value) > len(first):
        yield at, "items", f"has {len(value)} items, and should have {len(first)} at most"
    elif rest is not False:
        for index, item in enumerate(value[len(first) :], len(first)):
            yield from _errors(root, rest, item, at + _escaped(index))


def _object_errors(root: Any, schema: Any, value: Dict[str, Any], at: str) -> Iterator[Tuple[str, str, str]]:
    for name in schema.get("required", []):
        if name not in value:
            yield at, "required", f"has no {_json(name)}"
    if len(value) < schema.get("minProperties", 0):
        yield at, "minProperties", f"has {len(value)} fields, and should have {schema['minProperties']} at least"
    if len(value) > schema.get("maxProperties", math.inf):
        yield at, "maxProperties", f"has {len(value)} fields, and should have {schema['maxProperties']} at most"
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    names, additional = schema.get("propertyNames", True), schema.get("additionalProperties", True)
    unknown = []
    for name, inner in value.items():
        if not _fits(root, names, name, at):
            yield at, "propertyNames", f"has the name {_json(name)}, which does not fit"
        matching = [patterns[pattern] for pattern in patterns if _pattern(pattern).search(name)]
        if name in properties:
            matching.append(properties[name])
        if not matching and additional is False:
            unknown.append(_json(name))
        for part in matching or [additional]:
            if part is not False or matching:
                yield from _errors(root, part, inner, at + _escaped(name))
    if unknown:
        yield at, "additionalProperties", f"has {', '.join(unknown)}, which its type does not know"


def _canonical(value: Any) -> str:
    """Returns a text that is the same for equal JSON values, and for no others."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_canonical(value[name])}" for name in sorted(value)) + "}"
    return _json(value)


def _shown(value: Any) -> str:
    """Returns a value for an error's text, but no text of the payload: errors are logged, payloads are not."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, (dict, list, tuple)):
        return "an object" if isinstance(value, dict) else "an array"
    return _json(value)
