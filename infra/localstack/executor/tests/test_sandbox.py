"""A function's process from its start to its end, without LocalStack."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from drumline_executor.runtime_api import Invocation, Reply, StartFailed
from drumline_executor.sandbox import Sandbox

HERE = Path(__file__).parent
# Long enough for a Python to start on a busy machine.
PATIENCE = 30.0
ARN = "arn:aws:lambda:eu-central-1:000000000000:function:stand-in"
TRACE = "Root=1-5e1b4151-5ac6c58f6fa2b7d0d5f8a1c2;Parent=53995c3f42cd8ad8;Sampled=1"


class SandboxTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.code = Path(folder.name)
        make_bootstrap(self.code)
        self.log = tempfile.TemporaryFile(buffering=0)
        self.addCleanup(self.log.close)

    def launch(self, **environment: str) -> Sandbox:
        sandbox = Sandbox(self.code, {"PATH": os.environ["PATH"], **environment}, self.log)
        self.addCleanup(sandbox.stop)
        return sandbox

    def started(self) -> Sandbox:
        sandbox = self.launch()
        sandbox.wait_until_started(PATIENCE)
        return sandbox

    def logged(self) -> str:
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def test_a_process_answers_one_invocation_after_the_other(self) -> None:
        sandbox = self.started()
        invocations = [invocation(f"r-{n}", say=f"line {n}") for n in range(2)]
        answers = [json.loads(success(sandbox.invoke(one))) for one in invocations]
        self.assertEqual(answers[0]["pid"], answers[1]["pid"])
        headers = answers[1]["headers"]
        self.assertEqual(headers["lambda-runtime-aws-request-id"], "r-1")
        self.assertEqual(headers["lambda-runtime-invoked-function-arn"], ARN)
        self.assertEqual(headers["lambda-runtime-trace-id"], TRACE)
        self.assertEqual(headers["lambda-runtime-deadline-ms"], str(int(invocations[1].deadline * 1000)))
        self.assertEqual(self.logged().split("\n"), ["line 0", "line 1", ""])

    def test_only_the_given_variables_reach_the_function(self) -> None:
        sandbox = self.launch(MY_SETTING="1")
        answer = json.loads(success(sandbox.invoke(invocation("r"))))
        names = set(answer["environment"]) - {"LC_CTYPE", "PWD", "SHLVL", "_"}
        self.assertEqual(names, {"PATH", "MY_SETTING", "AWS_LAMBDA_RUNTIME_API"})

    def test_an_error_of_the_function_ends_the_invocation_only(self) -> None:
        sandbox = self.started()
        failed = failure(sandbox.invoke(invocation("r-1", error="on purpose")))
        self.assertEqual(failed, {"errorType": "Asked", "errorMessage": "on purpose"})
        success(sandbox.invoke(invocation("r-2")))

    def test_an_exit_ends_the_invocation_and_the_sandbox(self) -> None:
        sandbox = self.started()
        failed = failure(sandbox.invoke(invocation("r-1", exit=3)))
        self.assertEqual(failed["errorType"], "Runtime.ExitError")
        self.assertIn("exit status 3", failed["errorMessage"])
        self.assertFalse(sandbox.is_alive())
        self.assertEqual(failure(sandbox.invoke(invocation("r-2"))), failed)

    def test_an_invocation_over_time_kills_the_process_and_what_it_started(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        with open(writer, "wb", buffering=0) as self.log:
            sandbox = self.started()
        begun = time.monotonic()
        failed = failure(sandbox.invoke(invocation("r-1", timeout=1.0, fork=True, sleep=600)))
        self.assertGreaterEqual(time.monotonic() - begun, 0.9)
        self.assertEqual(failed["errorType"], "Sandbox.Timedout")
        self.assertRegex(failed["errorMessage"], r"RequestId: r-1 .*timed out after 1\.00 seconds")
        self.assertIn(b"has a child", read_to_end(reader))
        self.assertFalse(sandbox.is_alive())

    def test_a_failing_start_tells_why(self) -> None:
        for environment, expected in [
            ({"EXIT_AT_START": "64"}, "exit status 64"),
            ({"ERROR_AT_START": "no queue"}, '"errorType": "NoSettings", "errorMessage": "no queue"'),
        ]:
            with self.subTest(environment), self.assertRaises(StartFailed) as failed:
                self.launch(**environment).wait_until_started(PATIENCE)
            self.assertIn(expected, str(failed.exception))

    def test_an_archive_without_a_bootstrap_is_told(self) -> None:
        (self.code / "bootstrap").unlink()
        with self.assertRaisesRegex(StartFailed, "Runtime.InvalidEntrypoint.*No such file.*bootstrap"):
            self.launch()

    def test_a_stop_ends_a_start_that_somebody_waits_for(self) -> None:
        (self.code / "bootstrap").write_text("#!/bin/sh\nexec sleep 600\n")
        sandbox = self.launch()
        with self.assertRaises(TimeoutError):
            sandbox.wait_until_started(0.1)
        sandbox.stop()
        with self.assertRaisesRegex(StartFailed, "SIGKILL"):
            sandbox.wait_until_started(PATIENCE)

    def test_nothing_is_left_when_its_owner_is_killed(self) -> None:
        owner = subprocess.Popen([sys.executable, __file__, str(self.code)], stdout=subprocess.PIPE)
        self.assertEqual(owner.stdout.readline(), b"has a child\n")
        owner.kill()
        self.assertEqual(read_to_end(owner.stdout.fileno()), b"")
        owner.communicate()


def make_bootstrap(code: Path) -> None:
    bootstrap = code / "bootstrap"
    bootstrap.write_text(f"#!{sys.executable}\n{(HERE / 'stand_in.py').read_text()}")
    bootstrap.chmod(0o755)


def invocation(request_id: str, timeout: float = PATIENCE, **event: Any) -> Invocation:
    return Invocation(request_id, ARN, TRACE, json.dumps(event).encode(), time.time() + timeout)


def success(reply: Reply) -> bytes:
    assert not reply.is_error, reply.payload
    return reply.payload


def failure(reply: Reply) -> dict[str, str]:
    assert reply.is_error, reply.payload
    return json.loads(reply.payload)


def read_to_end(pipe: int) -> bytes:
    """Reads from a pipe until no process holds its other end."""
    text = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], PATIENCE)
        assert ready, f"a process still holds the pipe, and wrote {text!r}"
        part = os.read(pipe, 1 << 16)
        if not part:
            return text
        text += part


def own_a_sandbox(code: Path) -> None:
    """What the owner does that a test kills: it waits for an answer that does not come."""
    sandbox = Sandbox(code, {"PATH": os.environ["PATH"]}, sys.stdout.buffer)
    sandbox.invoke(invocation("r-1", fork=True, sleep=600))


if __name__ == "__main__":
    own_a_sandbox(Path(sys.argv[1]))
