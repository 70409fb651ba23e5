"""The process of an execution environment: a `bootstrap`, and the Runtime API that it talks to."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from threading import Lock, Thread
from typing import IO

from drumline_executor.runtime_api import Invocation, Reply, RuntimeApi, StartFailed, error

# Ends its process group when its standard input ends, which it does with LocalStack, however that ends.
GUARD = ["/bin/sh", "-c", "read -r _; kill -KILL 0"]


class Sandbox:
    """A running `bootstrap`. Once it has ended it is of no use: the next invocation takes a new one.

    It lives in a separate process group, with a guard that leads the group. So all processes of the bootstrap end
    with it, and all of it ends with the process that this object lives in, even by SIGKILL.
    """

    def __init__(self, code: Path, environment: Mapping[str, str], log: IO[bytes]) -> None:
        """Starts `bootstrap` of the folder `code`; what it writes goes to `log`. Fails with `StartFailed`."""
        self._stopping = Lock()
        self._stopped = False
        self._api = RuntimeApi()
        self._guard = Popen(GUARD, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, process_group=0)
        try:
            self._process = Popen(
                [code / "bootstrap"],
                cwd=code,
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                process_group=self._guard.pid,
            )
        except OSError as problem:
            self._stop_group()
            message = f"Error: {problem.strerror}: {problem.filename}"
            raise StartFailed(error("Runtime.InvalidEntrypoint", message)) from problem
        Thread(target=self._watch, daemon=True).start()

    def wait_until_started(self, timeout: float | None = None) -> None:
        """Waits until the process asks for its first invocation.

        Fails with `StartFailed` when it does not come to that, and with `TimeoutError` after `timeout` seconds.
        """
        self._api.started.result(timeout)

    def is_alive(self) -> bool:
        """Whether it can take an invocation."""
        return self._process.poll() is None

    def invoke(self, invocation: Invocation) -> Reply:
        """Has the process handle an invocation, and kills it when it is over time."""
        self._api.offer(invocation)
        begun = time.time()
        try:
            return invocation.reply.result(invocation.deadline - begun)
        except TimeoutError:
            self.stop()
            seconds = invocation.deadline - begun
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {seconds:.2f} seconds"
            return error("Sandbox.Timedout", message)

    def stop(self) -> None:
        """Kills the process and all that it has started."""
        with self._stopping:
            # Once only: another process may have got the group's number since.
            if self._stopped:
                return
            self._stopped = True
            self._stop_group()
            self._process.wait()

    def _stop_group(self) -> None:
        os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.communicate()
        self._api.close()

    def _watch(self) -> None:
        status = self._process.wait()
        how = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._api.end(error("Runtime.ExitError", f"Error: Runtime exited with error: {how}"))
        self.stop()
