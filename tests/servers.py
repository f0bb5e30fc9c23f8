"""A tiny HTTP server that answers as a test wants, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request: its path, its query string and its headers."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]

    @property
    def api_key(self) -> str | None:
        return self.headers.get("x-api-key")


@dataclass
class Server:
    """What to answer, and what was asked. ``body`` is sent as it is where it is bytes."""

    url: str = ""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    scripted: Server


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        scripted = self.server.scripted
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        scripted.asked.append(Asked(parts.path, parse_qs(parts.query), headers))
        body = scripted.body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(scripted.status)
        for name, value in scripted.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


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
