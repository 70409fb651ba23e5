"""A worker in Python's standard library: `PORT=8080 python3 plain.py`, then `DRUMLINE_FORWARD_TO=http://127.0.0.1:8080/jobs`."""
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen


class Stopped(Exception):
    """The attempt is over: another one may have begun."""


def job(url, what="", value=None):
    """Reports to the worker, or asks it: `url` is the attempt's own."""
    data = None if value is None else json.dumps(value).encode()
    try:
        with urlopen(Request(f"{url}/{what}".rstrip("/"), data=data), timeout=5) as answer:
            return json.loads(answer.read() or "null")
    except HTTPError as error:
        if error.code == 409:
            raise Stopped from error
        raise


def copy(url, records, pause):
    first = job(url, "checkpoint") or 0
    print(f"begins at {first}", flush=True)
    for record in range(first, records):
        time.sleep(pause)  # Here is the work.
        job(url, "checkpoint", record + 1)
        job(url, "progress", {"done": record + 1, "total": records, "unit": "records"})
    job(url, "result", {"copied": records})


class Jobs(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            payload = json.loads(body)["payload"]
            records, pause = int(payload["records"]), float(payload.get("pause", 0.1))
        except (ValueError, KeyError, TypeError) as error:
            return self.answer(422, f"needs a payload with records: {error}")
        try:
            copy(self.headers["X-Drumline-Job-Url"], records, pause)
        except Stopped:
            return self.answer(503, "stopped")
        self.answer(200)

    def answer(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Jobs).serve_forever()
