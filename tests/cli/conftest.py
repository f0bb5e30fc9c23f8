"""Fixtures of the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from langkeys.remote import polling

from ..support.deployments import Deploy, Deployment
from ..support.fake_langflow import langflow
from ..support.sites import Site


@pytest.fixture
def deploy(empty_site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    # Poll only briefly: a failure would not go away with time.
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.3)
    with ExitStack() as stack:

        def make(version: str = "1.13.0") -> Deployment:
            found, server = stack.enter_context(langflow(version))
            return Deployment(found, server, empty_site)

        yield make


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    return deploy("1.13.0")
