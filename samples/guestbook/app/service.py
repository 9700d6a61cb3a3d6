"""What the services of the guestbook share: JSON over HTTP, and the token between them."""

import json
import os
import signal
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def token():
    with open("/run/secrets/store_token", encoding="utf-8") as file:
        return file.read().strip()


def call_store(path, body=None):
    """GET a path of the store, or POST a JSON body to it; returns the JSON answer."""
    request = urllib.request.Request(os.environ["STORE_URL"] + path, headers={"X-Token": token()})
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body, content_type="application/json", **headers):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def log_message(self, format, *args):
        if self.path != "/health":
            print(f"{self.command} {self.path} {args[1]}", flush=True)


def serve(handler):
    """Serve until SIGTERM."""
    server = ThreadingHTTPServer(("", int(os.environ["PORT"])), handler)

    def stop(number, frame):
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"listening on {os.environ['PORT']}", flush=True)
    server.serve_forever(poll_interval=0.1)
    print("stopped", flush=True)
    sys.exit(0)
