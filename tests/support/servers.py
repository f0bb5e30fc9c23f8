"""A small HTTP server that gives scripted answers and records requests.

If ``Server.behave`` is set, it gets the handler and can write anything, even invalid HTTP.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    """One recorded request."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    method: str = "GET"
    body: Any = None

    @property
    def api_key(self) -> str | None:
        return self.headers.get("x-api-key")


@dataclass
class Server:
    """The scripted answer, and the recorded requests. ``body`` is JSON unless it is bytes."""

    url: str = ""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    behave: Callable[[BaseHTTPRequestHandler, Request], object] | None = None
    """Answers instead of ``status``, ``body`` and ``headers``."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    scripted: Server


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle_one(self) -> None:
        scripted = self.server.scripted
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        sent = self.rfile.read(int(headers.get("content-length", 0)))
        content = json.loads(sent) if sent else None
        request = Request(parts.path, parse_qs(parts.query), headers, self.command, content)
        scripted.requests.append(request)
        if scripted.behave is not None:
            with suppress(OSError):  # the client may have disconnected
                scripted.behave(self, request)
            self.close_connection = True
            return
        body = scripted.body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(scripted.status)
        for name, value in scripted.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = do_CONNECT = handle_one  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.scripted = Server(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
