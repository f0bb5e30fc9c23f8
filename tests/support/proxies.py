"""A proxy in front of a database server that simulates a broken network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from .server_databases import ServerDatabase
from .sites import Site

_COMMIT = b"COMMIT\0"


class Proxy:
    """Forwards bytes, and can interfere with a COMMIT.

    ``before_commit`` is called before the server gets the COMMIT, ``after_commit`` right after it
    was sent. ``loses_commit``: the server never gets it, and both connections are closed.
    ``loses_answer``: the server gets it, but the client's connection is closed without an answer.
    With ``is_silent`` nothing is forwarded any more, as if the machine were frozen.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.commits = 0
        self.before_commit: Callable[[], None] | None = None
        self.after_commit: Callable[[], None] | None = None
        self.loses_commit = False
        self.loses_answer = False
        self.is_silent = False
        self._sockets: list[socket.socket] = []
        self._answered = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def heal(self) -> None:
        """Forward everything from now on."""
        self.before_commit = self.after_commit = None
        self.loses_commit = self.loses_answer = self.is_silent = False

    def close(self) -> None:
        for end in (self._listener, *self._sockets):
            _end(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other thread may have closed both already
            is_from_client = target.getpeername()[1] == self._server_port
            while data := source.recv(65_536):
                if self.is_silent:
                    continue
                if is_from_client and data.endswith(_COMMIT):
                    self._commit(data, source, target)
                else:
                    self._answered.set()
                    target.sendall(data)
        for end in (source, target):
            _end(end)

    def _commit(self, data: bytes, client: socket.socket, server: socket.socket) -> None:
        self.commits += 1
        if self.before_commit is not None:
            self.before_commit()
        if self.loses_commit:
            _end(server)
            _end(client)
            return
        if self.loses_answer:
            _end(client)
        self._answered.clear()
        server.sendall(data)
        if self.loses_answer:
            self._answered.wait(10)
        if self.after_commit is not None:
            self.after_commit()


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def proxied(site: Site, server: ServerDatabase) -> Iterator[Proxy]:
    """Yield a running proxy between a site and its server."""
    port = server.cluster.port
    found = Proxy(port)
    site.settings["LANGFLOW_DATABASE_URL"] = server.url.replace(f":{port}/", f":{found.port}/")
    try:
        yield found
    finally:
        found.close()
