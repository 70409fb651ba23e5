"""The same in Flask: `pip install flask`, `PORT=8080 python3 flask_app.py`."""
import json
import os
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from flask import Flask, request

app = Flask(__name__)


class Stopped(Exception):
    """The attempt is over: another one may have begun."""


def job(what, value=None):
    """Reports to the worker, or asks it, about this request's attempt."""
    data = None if value is None else json.dumps(value).encode()
    try:
        with urlopen(Request(f"{request.headers['X-Drumline-Job-Url']}/{what}", data=data), timeout=5) as answer:
            return json.loads(answer.read() or "null")
    except HTTPError as error:
        if error.code == 409:
            raise Stopped from error
        raise


@app.get("/health")
def health():
    return "", 200


@app.post("/jobs")
def jobs():
    payload = (request.get_json(silent=True) or {}).get("payload") or {}
    if not isinstance(payload.get("records"), int):
        return "", 422, {"X-Drumline-Reject": "needs a payload with records"}
    first = job("checkpoint") or 0
    print(f"begins at {first}", flush=True)
    for record in range(first, payload["records"]):
        time.sleep(payload.get("pause", 0.1))  # Here is the work.
        job("checkpoint", record + 1)
        job("progress", {"done": record + 1, "total": payload["records"], "unit": "records"})
    job("result", {"copied": payload["records"]})
    return "", 200


@app.errorhandler(Stopped)
def stopped(_):
    return "stopped", 503


app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8080")), threaded=True)
