"""Fixtures: sites with a database on Debian's PostgreSQL; each test worker has one primary."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from ..support import server_databases
from ..support.clusters import PASSWORD
from ..support.databases import NEWEST, Database, Shape
from ..support.server_databases import ServerDatabase
from ..support.sites import Result, Site
from . import debian_server
from .debian_server import Primary


@pytest.fixture(scope="session")
def primary() -> Iterator[Primary]:
    with debian_server.primary() as found:
        yield found


@pytest.fixture
def icu_locale() -> str | None:
    """The ICU locale of the site's database; None for the collation C."""
    return None


@pytest.fixture
def make_database(
    empty_site: Site, primary: Primary, icu_locale: str | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Shape], Database]]:
    """Return a function that creates the empty site's database in a generation's form."""
    monkeypatch.setenv("PATH", str(primary.cluster.binaries), prepend=os.pathsep)
    made: list[ServerDatabase] = []

    def make(shape: Shape = NEWEST) -> Database:
        made.append(server_databases.create(primary.cluster, shape, icu_locale=icu_locale))
        empty_site.server = made[-1]
        return made[-1]

    yield make
    for database in made:
        database.give_back()


@pytest.fixture(autouse=True)
def _password_stays_unseen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert for every call that neither the password nor a message of the driver is shown."""
    inner = site.call

    def call(*arguments: str, **options: str) -> Result:
        result = inner(*arguments, **options)
        assert PASSWORD not in result.stdout + result.stderr
        assert "psycopg" not in result.stdout + result.stderr
        return result

    monkeypatch.setattr(site, "call", call)
