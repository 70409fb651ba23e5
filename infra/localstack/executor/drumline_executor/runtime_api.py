"""The Lambda Runtime API on the loopback interface, for one process.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import re
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Lock, Thread

PREFIX = "/2018-06-01/runtime"
ENDING = re.compile(rf"{PREFIX}/invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)")

# The interval at which the server checks if it should end, in seconds; a closed server delays nothing else.
SHUTDOWN_LOOK = 0.1


@dataclass(frozen=True)
class Reply:
    """How an invocation ended."""

    payload: bytes
    is_error: bool
    # What the log has to say of it, where the function could not do that itself.
    log: str = ""


def error(kind: str, message: str) -> Reply:
    """An error in the form in which AWS reports those of the environment itself."""
    payload = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    return Reply(payload, is_error=True, log=message)


class StartFailed(Exception):
    """The process ended, or reported an error, before it asked for its first invocation."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.payload.decode(errors="replace"))
        self.reply = reply


@dataclass
class Invocation:
    """One event for the function, and the place for its answer."""

    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes
    # When the answer must be there, in seconds since 1970.
    deadline: float
    reply: Future[Reply] = field(default_factory=Future)

    def headers(self) -> dict[str, str]:
        """Returns the headers of an invocation beside its event."""
        return {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
        }


class RuntimeApi:
    """Hands invocations to a process, one at a time, and takes its answers."""

    def __init__(self) -> None:
        # Done at the first request for an invocation, or failed with `StartFailed`.
        self.started: Future[None] = Future()
        self._lock = Lock()
        self._offered: SimpleQueue[Invocation | None] = SimpleQueue()
        self._current: Invocation | None = None
        self._over: Reply | None = None
        self._server = _Server(self)
        Thread(target=self._server.serve_forever, args=(SHUTDOWN_LOOK,), daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port, as `AWS_LAMBDA_RUNTIME_API` names them."""
        return f"127.0.0.1:{self._server.server_port}"

    def offer(self, invocation: Invocation) -> None:
        """Gives the process something to do; the answer comes to `invocation.reply`."""
        with self._lock:
            if self._over is not None:
                invocation.reply.set_result(self._over)
                return
            self._current = invocation
        self._offered.put(invocation)

    def end(self, reply: Reply) -> None:
        """The process is gone, which answers what it has not answered itself."""
        with self._lock:
            self._over = reply
            if not self.started.done():
                self.started.set_exception(StartFailed(reply))
            if self._current is not None and not self._current.reply.done():
                self._current.reply.set_result(reply)

    def close(self) -> None:
        """Stops serving."""
        self._offered.put(None)
        self._server.shutdown()
        self._server.server_close()

    # What the process asks for:

    def next(self) -> Invocation | None:
        """Waits for the next invocation; `None` when there will be no more."""
        with self._lock:
            if not self.started.done():
                self.started.set_result(None)
        return self._offered.get()

    def fail_start(self, payload: bytes) -> bool:
        """Takes an error of the start; false when the start is over."""
        with self._lock:
            if self.started.done():
                return False
            self.started.set_exception(StartFailed(Reply(payload, is_error=True)))
            return True

    def answer(self, request_id: str, reply: Reply) -> bool:
        """Accepts a response; returns false if no request waits for it."""
        with self._lock:
            current = self._current
            if current is None or current.request_id != request_id or current.reply.done():
                return False
            current.reply.set_result(reply)
            return True


class _Server(ThreadingHTTPServer):
    # A thread that waits for the next invocation must not keep LocalStack from ending.
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api


class _Handler(BaseHTTPRequestHandler):
    # Runtimes keep their connection.
    protocol_version = "HTTP/1.1"
    # A head and a body are two writes: the second must not wait for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            self._respond(HTTPStatus.NOT_FOUND)
            return
        invocation = self.server.api.next()
        if invocation is None:
            self.close_connection = True
            return
        self._respond(HTTPStatus.OK, invocation.payload, invocation.headers())

    def do_POST(self) -> None:
        body = self._body()
        if self.path == f"{PREFIX}/init/error":
            accepted = self.server.api.fail_start(body)
        elif ending := ENDING.fullmatch(self.path):
            reply = Reply(body, is_error=ending["kind"] == "error")
            accepted = self.server.api.answer(ending["request_id"], reply)
        else:
            self._respond(HTTPStatus.NOT_FOUND)
            return
        if accepted:
            self._respond(HTTPStatus.ACCEPTED, b'{"status":"OK"}')
        else:
            refusal = error("InvalidRequestID", f"{self.path} responds to no waiting request")
            self._respond(HTTPStatus.BAD_REQUEST, refusal.payload)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], base=16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # Trailers are not needed here.
        return body

    def _respond(
        self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Does not log requests: LocalStack already logs each invocation."""
