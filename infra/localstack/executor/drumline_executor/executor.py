"""One execution environment, as LocalStack drives it."""

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from threading import Lock

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from drumline_executor.runtime_api import Invocation, Reply, StartFailed, error
from drumline_executor.sandbox import Sandbox

LOG = logging.getLogger(__name__)

# What a function finds on AWS: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
SEARCH_PATH = "/usr/local/bin:/usr/bin/:/bin:/opt/bin"
LANGUAGE = "en_US.UTF-8"

# LocalStack's variables for the program that it puts before a bootstrap, which does not exist here.
OF_LOCALSTACK_INIT = "LOCALSTACK_"


class ProcessExecutor(RuntimeExecutor):
    """Keeps a process for the function's invocations, one after the other; replaces it when it has ended."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self._code = function_version.config.code.get_unzipped_code_location()
        self._environment: dict[str, str] = {}
        # All processes write to one open file, so each continues where the one before has stopped. It is never written
        # to or sought in from here.
        self._log = tempfile.TemporaryFile(buffering=0)
        self._changing = Lock()
        self._sandbox: Sandbox | None = None
        self._stopped = False

    def start(self, env_vars: dict[str, str]) -> None:
        """Starts the first process. LocalStack limits the time by calling `stop` from another thread."""
        self._environment = environment(env_vars, str(self._code))
        try:
            self._start_sandbox()
        except StartFailed as failure:
            LOG.warning("%s does not start: %s\n%s", self._name, failure, self.get_logs())
            # The one exception whose payload the caller of the function gets to see.
            raise StatusErrorException(str(failure), payload=failure.reply.payload) from failure

    def stop(self) -> None:
        with self._changing:
            self._stopped = True
            sandbox = self._sandbox
        if sandbox is not None:
            sandbox.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        begun = time.time()
        log_begins = self._log_size()
        request_id = payload["invoke-id"]
        invocation = Invocation(
            request_id=request_id,
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            payload=payload["payload"].encode(),
            deadline=begun + self.function_version.config.timeout,
        )
        reply = self._handle(invocation)
        logs = framed(
            [self._read_log(log_begins), reply.log],
            request_id=request_id,
            version=self.function_version.id.qualifier,
            duration_ms=(time.time() - begun) * 1000,
            memory_mb=self.function_version.config.memory_size,
        )
        return InvocationResult(request_id, reply.payload, is_error=reply.is_error, logs=logs)

    def get_logs(self) -> str:
        return self._read_log(0)

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return ""  # Only for the program that LocalStack puts before a bootstrap.

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Does nothing: LocalStack deletes a function's code itself."""

    @property
    def _name(self) -> str:
        return self.function_version.id.function_name

    def _handle(self, invocation: Invocation) -> Reply:
        sandbox = self._sandbox
        if sandbox is None or not sandbox.is_alive():
            # As on AWS, a start after a crash is a part of the invocation.
            try:
                sandbox = self._start_sandbox(invocation.deadline - time.time())
            except StartFailed as failure:
                return failure.reply
            except TimeoutError:
                message = f"RequestId: {invocation.request_id} Error: the function did not start in time"
                return error("Sandbox.Timedout", message)
        return sandbox.invoke(invocation)

    def _start_sandbox(self, timeout: float | None = None) -> Sandbox:
        with self._changing:
            if self._stopped:
                raise StartFailed(error("Sandbox.Failure", "Error: the environment has been stopped"))
            sandbox = self._sandbox = Sandbox(self._code, self._environment, self._log)
        try:
            sandbox.wait_until_started(timeout)
        except BaseException:
            sandbox.stop()
            raise
        return sandbox

    def _log_size(self) -> int:
        return os.fstat(self._log.fileno()).st_size

    def _read_log(self, begins: int) -> str:
        text = os.pread(self._log.fileno(), self._log_size() - begins, begins)
        return text.decode(errors="replace")


def environment(told: Mapping[str, object], code: str) -> dict[str, str]:
    """The variables of a function's process: its own, AWS's usual ones, and none of LocalStack's own process."""
    names = {name: str(value) for name, value in told.items() if not name.startswith(OF_LOCALSTACK_INIT)}
    return {"PATH": SEARCH_PATH, "LANG": LANGUAGE, **names, "LAMBDA_TASK_ROOT": code}


def framed(parts: list[str], *, request_id: str, version: str, duration_ms: float, memory_mb: int) -> str:
    """An invocation's log with the lines that Lambda puts around it."""
    # Not `splitlines`: it cuts at characters that may stand inside a line of JSON.
    lines = [line for part in parts for line in part.split("\n") if line]
    lines.insert(0, f"START RequestId: {request_id} Version: {version}")
    lines.append(f"END RequestId: {request_id}")
    lines.append(
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tMemory Size: {memory_mb} MB"
    )
    return "\n".join(lines) + "\n"
