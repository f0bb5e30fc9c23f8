"""A fake Langflow of each generation, and the services that call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from langkeys.remote import polling
from langkeys.remote.client import Client
from langkeys.remote.server import Server

from ..support import servers
from ..support.fake_langflow import FakeKey, Langflow, langflow


@dataclass
class Deployment:
    """A fake Langflow with its server, a superuser's API key, and the warnings."""

    langflow: Langflow
    http_server: servers.Server
    key: FakeKey
    said: list[str] = field(default_factory=list)

    def server(self, key: str | None = None, *, timeout: float = 5) -> Server:
        client = Client(self.http_server.url, key or self.key.value, timeout=timeout)
        return Server(client, self.said.append)

    def writes(self) -> list[str]:
        """Return the requests other than GET, such as ``POST /api/v1/api_key/``."""
        return [f"{a.method} {a.path}" for a in self.http_server.requests if a.method != "GET"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll only briefly: a failure would not go away with time."""
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.3)


@pytest.fixture
def deploy() -> Iterator[Callable[[str], Deployment]]:
    with ExitStack() as stack:

        def make(version: str = "1.13.0") -> Deployment:
            found, http_server = stack.enter_context(langflow(version))
            return Deployment(found, http_server, found.add_key(found.superuser, "acting"))

        yield make


@pytest.fixture
def deployment(deploy: Callable[[str], Deployment]) -> Deployment:
    return deploy("1.13.0")
