"""Counts visits in redis, spoken to in its own protocol over a plain socket."""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def increment():
    with socket.create_connection((os.environ["REDIS_HOST"], 6379), timeout=5) as redis:
        redis.sendall(b"INCR visits\r\n")
        answer = redis.makefile("rb").readline()
    if not answer.startswith(b":"):
        raise OSError(answer.decode().strip())
    return int(answer[1:])


class Counter(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, f"visit {increment()}\n"
        except OSError as error:
            status, text = 502, f"redis does not answer: {error}\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
ThreadingHTTPServer(("", 8000), Counter).serve_forever()
