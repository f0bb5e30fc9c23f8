"""A small Langflow of each generation, and the services that ask it."""

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
    """A Langflow, what it was asked, a superuser's key, and what was warned of."""

    langflow: Langflow
    asked: servers.Server
    key: FakeKey
    said: list[str] = field(default_factory=list)

    def server(self, key: str | None = None, *, timeout: float = 5) -> Server:
        client = Client(self.requests.url, key or self.key.value, timeout=timeout)
        return Server(client, self.said.append)

    def writes(self) -> list[str]:
        """What was asked but looked at, as ``POST /api/v1/api_key/``."""
        return [f"{a.method} {a.path}" for a in self.requests.requests if a.method != "GET"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up early: what fails here would fail later, too."""
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.3)


@pytest.fixture
def deploy() -> Iterator[Callable[[str], Deployment]]:
    with ExitStack() as stack:

        def make(version: str = "1.13.0") -> Deployment:
            found, asked = stack.enter_context(langflow(version))
            return Deployment(found, asked, found.add_key(found.superuser, "acting"))

        yield make


@pytest.fixture
def deployment(deploy: Callable[[str], Deployment]) -> Deployment:
    return deploy("1.13.0")
