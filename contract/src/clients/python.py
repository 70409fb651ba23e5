"""Insert client for Drumline jobs.

HEADER
"""

from __future__ import annotations

import base64
import itertools
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

# contract: end

# tables: begin

_TOKENS = (("an AWS access key ID", "AKIA", "AKIA[A-Z0-9]{16}(?![A-Z0-9])"),)
_PEM = "-----BEGIN ([A-Z0-9 ]{0,64})(?=-----)"
_PRIVATE_KEY_ENDINGS = ("PRIVATE KEY",)
_URL_AUTHORITY = "://(?=([^/ ]{0,1024}))"
_PLACEHOLDER_BEGINNINGS = "$"
_AWS_SECRET_KEY = "[A-Za-z0-9+/]{40}"
_AWS_SECRET_KEY_NAMES = ("secretaccesskey",)
_SECRET_NAMES = ("secret",)
_SECRET_NAME_ENDINGS = ("password",)
_REFERENCE_BEGINNINGS = ("arn:",)
_JWT_RUN = "[A-Za-z0-9_.-]+"
_JWT_BEGINNING = "eyJ"
_MAX_JWT_HEADER = 4096
_CARD_ISSUERS = (("4", "4", (16,)),)
_CARD_GROUPS = ((4, 4, 4, 4),)
_CARD_DIGITS = (14, 19)
_NO_CARD_NAME_ENDINGS = ("id",)
_EMAIL_LOCAL = "[A-Za-z0-9.-]{0,64}"
_EMAIL_DOMAIN = "[A-Za-z0-9.-]{0,253}"
_MAX_EMAIL_LOCAL = 64
_NO_PERSONS = ("git",)
_MAX_NAME_BYTES = 128
_MAX_TEXT_BYTES = 20000
_MAX_FINDINGS_PER_KIND = 20
_DENIED = ("secret",)
_DENIED_IF_STRICT = ("secret", "secret_name")
_TEXTS = {"secret": "{field} has {what}", "secret_name": "{field} is named like a secret"}

# tables: end

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
    """SQS may have taken the job: its answer was lost, or does not mention the job."""


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


class Finding(NamedTuple):
    """Something in a payload that should not wait in a queue."""

    pointer: str
    """The field (RFC 6901). A name that is itself a secret, a token, a card number or an address is `*` in it."""
    kind: str
    what: str


@dataclass
class Guards:
    """Finds in payloads what does not belong into a queue. Secrets are errors; each other finding of a field warns once."""

    deny: bool = False
    """Names of secrets, JSON Web Tokens and card numbers are errors, too."""
    allow: Sequence[str] = ()
    """Fields that may have what is found there: `TYPE:/pointer` or `TYPE:/pointer=KIND`. `*` stands for any type, name or index."""
    warn: Optional[Callable[[str], None]] = None
    """Receives the warnings; by default Python's `warnings` does."""
    _warned: Set[Tuple[str, str, str]] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        self._allowances = [_allowance(text) for text in self.allow]

    def findings(self, job_type: str, payload: Any) -> List[Finding]:
        """Returns what is found and not allowed, at most 20 of each kind."""
        findings: List[Finding] = []
        found: Dict[str, int] = {}
        for pointer, kind, what in _walk(payload, "", "", found):
            if found.get(kind, 0) == _MAX_FINDINGS_PER_KIND:
                continue
            if any(_allows(allowance, job_type, pointer, kind) for allowance in self._allowances):
                continue
            found[kind] = found.get(kind, 0) + 1
            findings.append(Finding(pointer, kind, what))
        return findings

    def problems(self, position: int, job_type: str, payload: Any) -> Iterator[Problem]:
        """Warns of findings, and returns those that are errors."""
        for pointer, kind, what in self.findings(job_type, payload):
            pattern = "/".join("*" if _is_index(segment) else segment for segment in pointer.split("/"))
            allow = _CONTROLS.sub(_control_escaped, f"{job_type}:{pattern}")
            text = _TEXTS[kind].replace("{allow}", allow).replace("{what}", what).replace("{field}", _field(pointer))
            if kind in (_DENIED_IF_STRICT if self.deny else _DENIED):
                yield Problem(position, job_type, pointer, kind, text)
                continue
            key = (job_type, kind, pattern)
            if key not in self._warned and len(self._warned) < _MAX_WARNED:
                self._warned.add(key)
                if self.warn is None:
                    warnings.warn(f"{job_type}: {text}", GuardWarning, stacklevel=2)
                else:
                    self.warn(f"{job_type}: {text}")


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


def _prepare(
    position: int, entry: Entry, queue_url: str, guards: Guards, problems: List[Problem]
) -> Optional[_Message]:
    """Returns the message of an entry, or adds to the problems."""
    job, job_id = entry.job, entry.job_id or ""
    before = len(problems)

    def refuse(pointer: str, kind: str, text: str) -> None:
        problems.append(Problem(position, job.TYPE, pointer, kind, text))

    for pointer, kind, text in _json_problems(job.payload, ""):
        refuse(pointer, kind, f"{_field(pointer)} {text}")
    if len(problems) > before:
        return None
    for pointer, kind, text in schema_problems(job.TYPE, job.VERSION, job.payload):
        refuse(pointer, kind, f"{_field(pointer)} {text}")
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


def _unescaped(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~")


def _is_index(segment: str) -> bool:
    return segment.isascii() and segment.isdigit()


def _field(pointer: str) -> str:
    """Returns a field as people write it: `payload.users[0].name`."""
    text = "payload"
    for segment in pointer.split("/")[1:]:
        name = _unescaped(segment)
        if _is_index(name):
            text += f"[{name}]"
        elif name == "*" or (name and all(c.isalnum() or c in "_-$@" for c in name)):
            text += f".{name}"
        else:
            text += f"[{_json(name)}]"
    return text


def _json_problems(value: Any, pointer: str, depth: int = 0) -> Iterator[Tuple[str, str, str]]:
    """Finds what JSON, SQS or a worker cannot take, as pointer, kind and text."""
    if isinstance(value, str):
        found = _FORBIDDEN.search(value)
        if found:
            yield (
                pointer,
                "character",
                f"has the character U+{ord(found.group()):04X}, which SQS does not take: leave it out",
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield pointer, "json", "is not a finite number, and JSON has no others"
    elif isinstance(value, (dict, list, tuple)):
        if depth == _MAX_DEPTH:
            yield pointer, "depth", f"is nested deeper than the {_MAX_DEPTH} levels that a worker reads"
        elif isinstance(value, dict):
            for name, inner in value.items():
                if not isinstance(name, str):
                    yield pointer, "json", f"has the name {name!r}, and names in JSON are texts"
                elif _FORBIDDEN.search(name):
                    yield pointer, "character", f"has the name {_json(name)}, of which SQS does not take all characters"
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
            yield "delay", f"a delay is 0 to {_MAX_DELAY} whole seconds, not {entry.delay}"
    if is_fifo and entry.group is None:
        yield "group", "a FIFO queue needs a group"
    if not is_fifo and entry.dedup is not None:
        yield "dedup", "only a FIFO queue has deduplication IDs: leave it out, or use an idempotency key"
    for kind, queue_id in (("group", entry.group), ("dedup", entry.dedup)):
        if queue_id is not None and not _QUEUE_ID.fullmatch(queue_id):
            yield kind, f"a {kind} is 1 to {_MAX_ID} ASCII letters, digits and punctuation marks, not {_json(queue_id)}"
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
            yield (
                "attribute",
                f"the attribute name {_json(name)} is not of 1 to {_MAX_NAME} letters, digits, _, - and single periods",
            )
        elif name.lower().startswith(("aws.", "amazon.")):
            yield "attribute", f"the attribute name {_json(name)} is reserved by AWS"
        elif name in _DECODING:
            yield "attribute", f"the attribute {_json(name)} would make another job of this one: leave it out"
        elif isinstance(value, bool) or not isinstance(value, (str, int, float, bytes)):
            yield "attribute", f"the attribute {name} is a {type(value).__name__}: give it a text, a number or bytes"
        elif value in ("", b""):
            yield "attribute", f"the attribute {name} is empty, which SQS does not take"
        elif isinstance(value, float) and not math.isfinite(value):
            yield "attribute", f"the attribute {name} is not a finite number"
        elif _FORBIDDEN_IN_TEXT.search(text):
            yield "attribute", f"the attribute {name} has a character that SQS does not take"


def _attribute(value: AttributeValue) -> Dict[str, Any]:
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": value}
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "Number", "StringValue": str(value)}


# Guards: the same detectors as those of Drumline's own producer.

_TOKEN_PATTERNS = [(what, prefix, re.compile("(?<![A-Za-z0-9])" + pattern)) for what, prefix, pattern in _TOKENS]
_CARDS = [
    re.compile(f"(?<![A-Za-z0-9_-])(?<![0-9][.,])(?=({digits})(?![A-Za-z0-9_-])(?![.,][0-9]))")
    for digits in [
        "[0-9]{%d,%d}" % _CARD_DIGITS,
        *(
            "[0-9]{%d}([ -])" % first + r"\2".join("[0-9]{%d}" % length for length in further)
            for first, *further in _CARD_GROUPS
        ),
    ]
]
_EMAIL_DOMAIN_PATTERN = re.compile(_EMAIL_DOMAIN)
_SMALLEST_CARD = 10 ** (_CARD_DIGITS[0] - 1)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
# A map may have any names: more patterns than that are not remembered, and not warned of.
_MAX_WARNED = 1000

_Allowance = Tuple[str, List[str], Optional[str]]


def _allowance(text: str) -> _Allowance:
    rest, equals, kind = text.rpartition("=")
    if not equals or kind not in _TEXTS:
        rest, kind = text, ""
    # A type may be a URI, so the last colon before a slash counts.
    job_type, colon, pointer = rest.rpartition(":/")
    if rest.endswith(":"):
        job_type, colon, pointer = rest[:-1], ":", ""
    if not colon or not job_type:
        raise ValueError(
            f"{text!r} allows no field: write it as TYPE:/pointer or TYPE:/pointer=KIND, such as email.send:/to"
        )
    return job_type, ("/" + pointer if colon == ":/" else "").split("/"), kind or None


def _allows(allowance: _Allowance, job_type: str, pointer: str, kind: str) -> bool:
    own_type, pattern, own_kind = allowance
    segments = pointer.split("/")
    is_field = len(pattern) == len(segments) and all(own in ("*", segment) for own, segment in zip(pattern, segments))
    return own_type in ("*", job_type) and own_kind in (None, kind) and is_field


def _control_escaped(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found.group(), f"\\u{{{ord(found.group()):x}}}")


def _walk(value: Any, pointer: str, name: str, found: Mapping[str, int]) -> Iterator[Finding]:
    """Finds in a payload, of which the names of fields are inspected, too. Lists have the name of the field that they are in."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            hidden = _value_in(inner_name)
            inner_pointer = pointer + _shown_segment(inner_name)
            if hidden is not None:
                yield Finding(inner_pointer, *hidden)
            yield from _walk(inner, inner_pointer, inner_name, found)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _walk(inner, pointer + _escaped(index), name, found)
    elif isinstance(value, str):
        yield from _text_findings(value, pointer, _normalized(name), found)
    elif isinstance(value, int) and not isinstance(value, bool) and _SMALLEST_CARD <= value < 1 << 64:
        if _may_have_card(_normalized(name)) and _has_card_number(str(value)):
            yield Finding(pointer, "card_number", "a card number")


def _text_findings(text: str, pointer: str, name: str, found: Mapping[str, int]) -> Iterator[Finding]:
    is_token = False
    secret = _named_secret(name, text) or _secret(text)
    if secret is not None and found.get("secret", 0) < _MAX_FINDINGS_PER_KIND:
        is_token = True
        yield Finding(pointer, "secret", secret)
    if found.get("jwt", 0) < _MAX_FINDINGS_PER_KIND and _has_jwt(text):
        is_token = True
        yield Finding(pointer, "jwt", "a JSON Web Token")
    if not is_token and _is_secret_by_name(name, text):
        yield Finding(pointer, "secret_name", "the name of a secret")
    if _may_have_card(name) and _has_card_number(text):
        yield Finding(pointer, "card_number", "a card number")
    if _has_email_address(text):
        yield Finding(pointer, "personal_data", "an e-mail address")
    if len(text) > _MAX_TEXT_BYTES or len(text.encode()) > _MAX_TEXT_BYTES:
        yield Finding(pointer, "long_text", "a long text")


def _value_in(name: str) -> Optional[Tuple[str, str]]:
    """Returns what a name is that is itself a value: names of fields are shown, and values never."""
    secret = _secret(name)
    if secret is not None:
        return "secret", secret
    if _has_jwt(name):
        return "jwt", "a JSON Web Token"
    if _has_card_number(name):
        return "card_number", "a card number"
    return ("personal_data", "an e-mail address") if _has_email_address(name) else None


def _shown_segment(name: str) -> str:
    return "/*" if len(name.encode()) > _MAX_NAME_BYTES or _value_in(name) is not None else _escaped(name)


def _normalized(name: str) -> str:
    """Returns the name's ASCII letters and digits in lower case; nothing of a text that is too long for a name."""
    if len(name.encode()) > _MAX_NAME_BYTES:
        return ""
    return "".join(c for c in name if c.isascii() and c.isalnum()).lower()


def _secret(text: str) -> Optional[str]:
    token = _token(text)
    if token is not None:
        return token
    if any(pem.group(1).endswith(_PRIVATE_KEY_ENDINGS) for pem in re.finditer(_PEM, text)):
        return "a private key"
    if any(_has_password(url.group(1)) for url in re.finditer(_URL_AUTHORITY, text)):
        return "a URL with a password"
    return None


def _token(text: str) -> Optional[str]:
    """Returns what the first token of a text is."""
    start: int = len(text)
    first: Optional[str] = None
    for what, prefix, pattern in _TOKEN_PATTERNS:
        # A search for a plain text is much faster than one for a pattern. It ends with the last one before the first token.
        end = start + len(prefix) - 1
        at = text.find(prefix, 0, end)
        while at >= 0:
            if pattern.match(text, at):
                start, first = at, what
                break
            at = text.find(prefix, at + 1, end)
    return first


def _has_password(authority: str) -> bool:
    _, _, password = authority.rpartition("@")[0].partition(":")
    return bool(password) and password[0] not in _PLACEHOLDER_BEGINNINGS


def _named_secret(name: str, text: str) -> Optional[str]:
    is_key = name.endswith(_AWS_SECRET_KEY_NAMES) and re.fullmatch(_AWS_SECRET_KEY, text)
    return "an AWS secret access key" if is_key else None


def _is_secret_by_name(name: str, text: str) -> bool:
    is_named = name in _SECRET_NAMES or name.endswith(_SECRET_NAME_ENDINGS)
    return is_named and not text.startswith(_REFERENCE_BEGINNINGS) and text.strip("*") != ""


def _has_jwt(text: str) -> bool:
    if _JWT_BEGINNING not in text:
        return False
    runs = (run.split(".") for run in re.findall(_JWT_RUN, text))
    return any(
        claims and signature and _is_jwt_header(header)
        for parts in runs
        for header, claims, signature in zip(parts, parts[1:], parts[2:])
    )


def _is_jwt_header(part: str) -> bool:
    if len(part) > _MAX_JWT_HEADER or not part.startswith(_JWT_BEGINNING):
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode())
    except ValueError:
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def _may_have_card(name: str) -> bool:
    return not name.endswith(_NO_CARD_NAME_ENDINGS)


def _has_card_number(text: str) -> bool:
    # Each form has four digits in a row.
    has_group = re.search("[0-9]{4}", text) is not None
    return has_group and any(_is_card(card.group(1)) for cards in _CARDS for card in cards.finditer(text))


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    is_issued = any(
        len(digits) in lengths and start <= digits[: len(start)] <= end for start, end, lengths in _CARD_ISSUERS
    )
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return is_issued and (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _has_email_address(text: str) -> bool:
    return any(_is_address(text, at.start()) for at in re.finditer("@", text))


def _is_address(text: str, at: int) -> bool:
    local = re.search(_EMAIL_LOCAL + r"\Z", text[max(0, at - _MAX_EMAIL_LOCAL) : at])
    domain = _EMAIL_DOMAIN_PATTERN.match(text, at + 1)
    if local is None or domain is None or local.group() in _NO_PERSONS or not re.search("[A-Za-z0-9]", local.group()):
        return False
    # A period behind it ends the sentence.
    name = domain.group()
    labels = (name[:-1] if name.endswith(".") else name).split(".")
    are_labels = all(label and not label.startswith("-") and not label.endswith("-") for label in labels)
    return len(labels) > 1 and are_labels and re.fullmatch("[A-Za-z]{2,}", labels[-1]) is not None


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
# Base classes for connections that fail: of botocore, and of Python itself for other clients.
_UNREACHABLE = ("HTTPClientError", "ConnectionError", "TimeoutError", "HTTPException")


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
    # The positions of the jobs that SQS may have taken in one of the tries.
    doubtful: Set[int] = set()
    for attempt in range(1, _TRIES + 1):
        if attempt > 1:
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))))
        entries = [{"Id": str(index), **message.request} for index, message in enumerate(left)]
        try:
            answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except Exception as error:
            may_be_taken, passes = _nature(error)
            if may_be_taken:
                doubtful.update(message.position for message in left)
            if passes and attempt < _TRIES:
                continue
            failed.extend(
                Failure(message.position, message.entry, _code(error), str(error), False, message.position in doubtful)
                for message in left
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
                doubtful.add(message.position)
            code, by_sender = str(failure.get("Code", "")), bool(failure.get("SenderFault", False))
            if attempt < _TRIES and (not by_sender or code.rpartition(".")[2] in _THROTTLED):
                again.append(message)
            else:
                text = str(failure.get("Message") or "")
                in_doubt = message.position in doubtful
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


# Schemas: the keywords of JSON Schema that contracts use, with the words of Drumline's own producer.

_MAX_PROBLEMS = 20
_MAX_CHOICES = 10


class _Error(NamedTuple):
    """A value that does not fit a schema."""

    at: str
    keyword: str
    reason: str
    alternatives: Sequence[List[_Error]] = ()
    """The errors of each alternative, if it fits none."""


def schema_problems(job_type: str, version: int, payload: Any) -> List[Tuple[str, str, str]]:
    """Returns how a payload does not fit the schema of its type and version, as pointer, keyword and text; at most 20."""
    schema = _SCHEMAS[job_type, version]
    errors = iter(()) if schema is None else _errors(schema, schema, payload, "")
    return [_problem(error) for error in itertools.islice(errors, _MAX_PROBLEMS)]


def _problem(error: _Error) -> Tuple[str, str, str]:
    # The alternative whose errors are all inside of the value was meant: an optional address is null or an address.
    outside = error.at.count("/")
    for errors in error.alternatives:
        if errors and all(inner.at.count("/") > outside or inner.keyword == "additionalProperties" for inner in errors):
            return _problem(errors[0])
    pointer = "".join(_shown_segment(_unescaped(segment)) for segment in error.at.split("/")[1:])
    return pointer, error.keyword, error.reason


def _errors(root: Any, schema: Any, value: Any, at: str) -> Iterator[_Error]:
    if schema is True:
        return
    if schema is False:
        yield _Error(at, "falseSchema", "must not be there")
        return
    if "$ref" in schema:
        yield from _errors(root, _resolved(root, schema["$ref"]), value, at)
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_is(name, value) for name in types):
            names = [_WITH_ARTICLE[name] for name in sorted(types)]
            yield _Error(at, "type", f"is {_WITH_ARTICLE[_type_of(value)]}, and must be {_joined(names, 'or')}")
    if "enum" in schema and _canonical(value) not in [_canonical(item) for item in schema["enum"]]:
        choices = [_json(item) for item in schema["enum"]]
        is_short = len(choices) <= _MAX_CHOICES
        text = f"must be one of {_joined(choices, 'or')}" if is_short else "is none of the values that the schema lists"
        yield _Error(at, "enum", text)
    if "const" in schema and _canonical(value) != _canonical(schema["const"]):
        yield _Error(at, "const", f"must be {_json(schema['const'])}")
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
    for keyword in ("anyOf", "oneOf"):
        if keyword not in schema:
            continue
        alternatives = [list(_errors(root, inner, value, at)) for inner in schema[keyword]]
        fitting = sum(not errors for errors in alternatives)
        if fitting == 0:
            yield _Error(at, keyword, "has none of the forms that the schema allows", alternatives)
        elif fitting > 1 and keyword == "oneOf":
            yield _Error(at, keyword, "has several of the forms of which the schema allows one")
    if "not" in schema and _fits(root, schema["not"], value):
        yield _Error(at, "not", "has a form that the schema excludes")


def _fits(root: Any, schema: Any, value: Any) -> bool:
    return next(_errors(root, schema, value, ""), None) is None


def _resolved(root: Any, reference: str) -> Any:
    found = root
    for segment in reference.split("/")[1:]:
        inner = _unescaped(segment)
        found = found[int(inner)] if isinstance(found, list) else found[inner]
    return found


def _is(name: str, value: Any) -> bool:
    # 1.0 is written as it is, and a worker reads no integer from that.
    return name == _type_of(value) or (name == "integer" and isinstance(value, int) and not isinstance(value, bool))


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


_WITH_ARTICLE = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}


def _joined(texts: Sequence[str], last_word: str) -> str:
    return f" {last_word} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _counted(at: str, keyword: str, schema: Any, count: int, thing: str) -> Iterator[_Error]:
    """Checks `minItems` and `maxItems`, or the like, for `Items`."""
    for least_or_most, limit in (("least", schema.get("min" + keyword)), ("most", schema.get("max" + keyword))):
        if limit is not None and (count < limit if least_or_most == "least" else count > limit):
            name = ("min" if least_or_most == "least" else "max") + keyword
            yield _Error(at, name, f"must have at {least_or_most} {limit} {thing}{'' if limit == 1 else 's'}")


def _text_errors(schema: Any, value: str, at: str) -> Iterator[_Error]:
    yield from _counted(at, "Length", schema, len(value), "character")
    if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
        yield _Error(at, "pattern", f"must match the pattern {schema['pattern']}")


def _pattern(pattern: str) -> re.Pattern[str]:
    # In other languages `$` is the end of the text only.
    end = re.sub(r"(?<!\\)((?:\\\\)*)\$$", r"\1\\Z", pattern)
    return re.compile(end, re.ASCII)


def _number_errors(schema: Any, value: float, at: str) -> Iterator[_Error]:
    if "minimum" in schema and value < schema["minimum"]:
        yield _Error(at, "minimum", f"must be at least {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        yield _Error(at, "maximum", f"must be at most {schema['maximum']}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield _Error(at, "exclusiveMinimum", f"must be more than {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield _Error(at, "exclusiveMaximum", f"must be less than {schema['exclusiveMaximum']}")


def _array_errors(root: Any, schema: Any, value: Sequence[Any], at: str) -> Iterator[_Error]:
    yield from _counted(at, "Items", schema, len(value), "item")
    if schema.get("uniqueItems") and len({_canonical(item) for item in value}) < len(value):
        yield _Error(at, "uniqueItems", "has an item twice")
    first = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        inner = first[index] if index < len(first) else schema.get("items", True)
        yield from _errors(root, inner, item, at + _escaped(index))


def _object_errors(root: Any, schema: Any, value: Dict[str, Any], at: str) -> Iterator[_Error]:
    for name in schema.get("required", []):
        if name not in value:
            yield _Error(at + _escaped(name), "required", "is missing")
    yield from _counted(at, "Properties", schema, len(value), "field")
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    additional = schema.get("additionalProperties", True)
    if not all(_fits(root, schema.get("propertyNames", True), name) for name in value):
        yield _Error(at, "propertyNames", "has a field whose name the schema does not allow")
    unknown = []
    for name, inner in value.items():
        matching = [patterns[pattern] for pattern in patterns if _pattern(pattern).search(name)]
        if name in properties:
            matching.append(properties[name])
        if not matching and additional is False:
            unknown.append(_json(_unescaped(_shown_segment(name)[1:])))
            continue
        for part in matching or [additional]:
            yield from _errors(root, part, inner, at + _escaped(name))
    if unknown:
        text = f"has fields that the schema does not know: {_joined(unknown[:_MAX_CHOICES], 'and')}"
        yield _Error(at, "additionalProperties", text)


def _canonical(value: Any) -> str:
    """Returns a text that is the same for equal JSON values, and for no others."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_canonical(value[name])}" for name in sorted(value)) + "}"
    return _json(value)
