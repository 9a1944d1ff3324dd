"""A proxy before a real S3 server that answers wrongly on demand: 409 before it asks, or silence after the server has done it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["conflict", "lost answer", "error after", "refused"]


@dataclass
class Faults:
    """What the next conditional PUTs get, in order, and how many there were."""

    endpoint: str
    waiting: list[Fault] = field(default_factory=list)
    puts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Fault | None:
        with self.lock:
            self.puts += 1
            return self.waiting.pop(0) if self.waiting else None


@contextmanager
def fault_proxy(upstream: str) -> Iterator[Faults]:
    """Run the proxy for the length of a block."""
    host = upstream.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = faults.next() if self.command == "PUT" and self.headers.get("If-None-Match") == "*" else None
            if fault == "conflict":
                return self.answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code><Message>again</Message></Error>")
            if fault == "refused":
                return self.answer(503, [], b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
            upstream_connection = http.client.HTTPConnection(host, timeout=30)
            try:
                # The Host header stays the client's own: it is signed.
                upstream_connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        upstream_connection.putheader(name, value)
                upstream_connection.endheaders(body)
                reply = upstream_connection.getresponse()
                said, headers = reply.read(), reply.getheaders()
            finally:
                upstream_connection.close()
            if fault == "lost answer":
                self.close_connection = True
                return None
            if fault == "error after":
                return self.answer(500, [], b"<Error><Code>InternalError</Code><Message>done all the same</Message></Error>")
            return self.answer(reply.status, headers, said)

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = {name.lower(): value for name, value in headers}.get("content-length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = relay

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    faults = Faults(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
