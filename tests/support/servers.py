"""A tiny HTTP server that answers as a test wants, and remembers what it was asked.

Well-behaved where only an answer is scripted; ``Server.behave`` is for the others: it gets the
handler, and writes what it likes.
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
class Asked:
    """One request: its path, its query string and its headers."""

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
    """What to answer, and what was asked. ``body`` is sent as it is where it is bytes."""

    url: str = ""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    behave: Callable[[BaseHTTPRequestHandler, Asked], object] | None = None
    """Answers in place of ``status``, ``body`` and ``headers``."""


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
        asked = Asked(parts.path, parse_qs(parts.query), headers, self.command, content)
        scripted.asked.append(asked)
        if scripted.behave is not None:
            with suppress(OSError):  # whoever asked may have gone
                scripted.behave(self, asked)
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
