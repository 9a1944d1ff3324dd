"""A proxy before a real S3 server that answers wrongly on demand: 409 before it asks, silence after the server has done it, half an answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

# "delay" answers late; "drop" and "hold before" never ask the server; "lost answer", "error after", "truncated", "reset" and "hold after" do.
Fault = Literal["conflict", "lost answer", "error after", "refused", "delay", "drop", "truncated", "reset", "hold before", "hold after"]
Choice = Callable[[str, str, Mapping[str, str]], Fault | None]  # by method, path and headers of a request


@dataclass
class Faults:
    """What the next conditional PUTs get, in order, and how many there were; or what any request gets, where somebody chooses."""

    endpoint: str
    waiting: list[Fault] = field(default_factory=list)
    puts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    choose: Choice | None = None
    seconds: float = 0.2  # of a delay
    holding: threading.Event = field(default_factory=threading.Event)  # a request is held, and stays so until `let_go`
    let_go: threading.Event = field(default_factory=threading.Event)

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
            if faults.choose is not None:
                fault = faults.choose(self.command, self.path, dict(self.headers.items()))
            else:
                fault = faults.next() if self.command == "PUT" and self.headers.get("If-None-Match") == "*" else None
            if fault == "delay":
                time.sleep(faults.seconds)
            if fault == "drop":
                self.close_connection = True
                return None
            if fault == "hold before":
                return self.held()
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
            if fault == "hold after":
                return self.held()
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() then sends RST
                self.connection.close()
                self.close_connection = True
                return None
            if fault == "truncated" and len(said) > 1:
                self.answer(reply.status, headers, said, sent=len(said) // 2)
                self.close_connection = True
                return None
            if fault in ("lost answer", "truncated"):
                self.close_connection = True
                return None
            if fault == "error after":
                return self.answer(500, [], b"<Error><Code>InternalError</Code><Message>done all the same</Message></Error>")
            return self.answer(reply.status, headers, said)

        def held(self) -> None:
            faults.holding.set()
            faults.let_go.wait()
            self.close_connection = True

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = {name.lower(): value for name, value in headers}.get("content-length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:sent])

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = relay

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # a client that was killed, or that we have cut off
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

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
        faults.let_go.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
