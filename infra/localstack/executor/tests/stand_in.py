"""A function for the tests: it does what each event says, and answers with what it knows of itself."""

import json
import os
import subprocess
import sys
import time
from typing import Any
from urllib.request import Request, urlopen

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def post(path: str, content: Any) -> None:
    # Without a length the body is sent in chunks, as a streaming runtime does.
    request = Request(f"{RUNTIME}/{path}", data=iter([json.dumps(content).encode()]), method="POST")
    urlopen(request).close()


def handle(event: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    if "say" in event:
        print(event["say"], flush=True)
    if event.get("fork"):
        subprocess.Popen(["sleep", "600"])
        print("has a child", flush=True)
    if "exit" in event:
        sys.exit(event["exit"])
    time.sleep(event.get("sleep", 0))
    return {"headers": headers, "pid": os.getpid(), "environment": dict(os.environ)}


def main() -> None:
    if "EXIT_AT_START" in os.environ:
        sys.exit(int(os.environ["EXIT_AT_START"]))
    if "ERROR_AT_START" in os.environ:
        post("init/error", {"errorType": "NoSettings", "errorMessage": os.environ["ERROR_AT_START"]})
        sys.exit(1)
    while True:
        with urlopen(f"{RUNTIME}/invocation/next") as response:
            event = json.load(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
        invocation = f"invocation/{headers['lambda-runtime-aws-request-id']}"
        answer = handle(event, headers)
        if "error" in event:
            post(f"{invocation}/error", {"errorType": "Asked", "errorMessage": event["error"]})
        else:
            post(f"{invocation}/response", answer)


main()
