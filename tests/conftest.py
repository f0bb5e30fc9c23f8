"""Fixtures: a site with a database of the newest shape, an empty one, and ways to run langkeys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import langkeys
from langkeys import LangflowStore
from langkeys.store.protocol import Store

from .support import commands, databases, isolation, postgresql, server_databases, stores
from .support.databases import Database, Shape
from .support.samples import SECRET_KEY
from .support.server_databases import ServerDatabase
from .support.sites import Result, Site

# Hypothesis has no time limit, and every run tries the same examples.
hypothesis.settings.register_profile(
    "langkeys", deadline=None, derandomize=True, database=None, max_examples=60
)
hypothesis.settings.load_profile("langkeys")

SUPERUSER = "administrator"
SQLITE = "sqlite"


def pytest_configure(config: pytest.Config) -> None:
    """Isolate the tests from the settings and folders of the user who runs them."""
    config.add_cleanup(isolation.isolate().cleanup)
    postgresql.prepare()
    if not hasattr(config, "workerinput"):
        config.add_cleanup(postgresql.stop)


@pytest.fixture(scope="session", autouse=True)
def _untouched_audit_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the run if it wrote to the audit log of the user who started it."""
    before = isolation.audit_log_sizes()
    yield
    left = isolation.lines_left(before, tmp_path_factory.getbasetemp())
    assert not left, f"the tests wrote to the user's own audit log: {left}"


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own working folder and home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "own-home"))


@pytest.fixture
def empty_site(tmp_path: Path) -> Site:
    """An empty folder, without any settings."""
    folder, home = tmp_path / "site", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    return Site(folder, home=home)


@pytest.fixture
def engine_name() -> str:
    """The engine of the site's database; tests marked ``every_engine`` run on each engine."""
    return os.environ.get("PYTEST_ENGINE", SQLITE)


@pytest.fixture
def make_database(
    empty_site: Site, engine_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Shape], Database]]:
    """Return a function that creates the empty site's database in a generation's form."""
    made: list[ServerDatabase] = []

    def make(shape: Shape = databases.NEWEST) -> Database:
        if engine_name == SQLITE:
            return databases.create(empty_site.folder / empty_site.path, shape)
        cluster = postgresql.cluster()
        monkeypatch.setenv("PATH", str(cluster.binaries), prepend=os.pathsep)
        is_old = not shape.key_expiry  # their times have no zone
        made.append(server_databases.create(cluster, shape, zoned=not is_old))
        empty_site.server = made[-1]
        return made[-1]

    yield make
    for database in made:
        database.give_back()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked ``every_engine`` on each engine, unless it is ``only_sqlite``."""
    markers = {marker.name for marker in metafunc.definition.iter_markers()}
    if (
        "every_engine" in markers
        and "only_sqlite" not in markers
        and "engine_name" in metafunc.fixturenames
    ):
        metafunc.parametrize("engine_name", [SQLITE, "postgresql"])


@pytest.fixture
def site(empty_site: Site, make_database: Callable[[], Database]) -> Site:
    """A site with a database, where the superuser acts by AUTO_LOGIN, without a password."""
    database = make_database()
    database.add_user(SUPERUSER)
    empty_site.settings = {
        "LANGFLOW_DATABASE_URL": database.url,
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_AUTO_LOGIN": "true",
        "LANGFLOW_SUPERUSER": SUPERUSER,
    }
    return empty_site


@pytest.fixture
def server(site: Site) -> ServerDatabase:
    """The site's database, in tests that run on PostgreSQL alone."""
    found = site.database
    assert isinstance(found, ServerDatabase)
    return found


@pytest.fixture
def site_of(empty_site: Site, make_database: Callable[[Shape], Database]) -> Callable[[str], Site]:
    """Return a function that creates a site of a release, with the users for its AUTO_LOGIN."""

    def make(release: str) -> Site:
        database = make_database(databases.SHAPES[release])
        database.add_user("langflow", last_login_at=databases.ago(days=1))
        database.add_user(SUPERUSER)
        empty_site.shape = database.shape
        empty_site.settings = {
            "LANGFLOW_DATABASE_URL": database.url,
            "LANGFLOW_SECRET_KEY": SECRET_KEY,
            "LANGFLOW_AUTO_LOGIN": "true",
            "LANGFLOW_SUPERUSER": SUPERUSER,
        }
        return empty_site

    return make


@pytest.fixture
def database(site: Site) -> Database:
    """The database of the site."""
    return site.database


@pytest.fixture
def superuser(database: Database) -> str:
    """The id of the site's superuser."""
    return str(database.rows("SELECT id FROM user WHERE username = ?", (SUPERUSER,))[0][0])


@pytest.fixture
def case_site(site: Site, superuser: str) -> Site:
    """A site on which every command has something to do."""
    commands.fill(site.database, superuser)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder / "config")
    return site


@pytest.fixture
def run(site: Site) -> Callable[..., Result]:
    """Run langkeys as a process on the site."""
    return site.run


@pytest.fixture
def call(site: Site) -> Callable[..., Result]:
    """Run langkeys within this process on the site."""
    return site.call


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """The store of the site's database, open for reading."""
    with stores.opened(database) as found:
        yield found


@pytest.fixture
def gateway(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[LangflowStore]:
    """A store of the library, opened with the site's settings in the environment."""
    for name, text in {**site.settings, "LANGFLOW_CONFIG_DIR": str(site.folder)}.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:
        yield store
