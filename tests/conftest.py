"""Fixtures: a site with a database of the newest shape, an empty one, and ways to run langkeys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import langkeys
from langkeys import LangflowStore
from langkeys.known_settings import ENV_FILE, KNOWN
from langkeys.store.base import Store

from . import databases, stores
from .databases import Database
from .samples import SECRET_KEY
from .sites import Result, Site

# Nothing here is timed, and every run tries the same examples.
hypothesis.settings.register_profile(
    "langkeys", deadline=None, derandomize=True, database=None, max_examples=60
)
hypothesis.settings.load_profile("langkeys")

SUPERUSER = "administrator"


@pytest.fixture(autouse=True)
def _bare_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them: their environment and ./.env."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.removesuffix("_FILE") in KNOWN or name == ENV_FILE:
            monkeypatch.delenv(name)


@pytest.fixture
def empty_site(tmp_path: Path) -> Site:
    """A folder in which nothing is and nothing is set."""
    folder, home = tmp_path / "site", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    return Site(folder, home=home)


@pytest.fixture
def site(empty_site: Site) -> Site:
    """A site with a database, acting by AUTO_LOGIN as its superuser: no password is checked."""
    databases.made(empty_site.folder / empty_site.path).add_user(SUPERUSER)
    empty_site.settings = {
        "LANGFLOW_DATABASE_URL": f"sqlite:///{empty_site.folder / empty_site.path}",
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_AUTO_LOGIN": "true",
        "LANGFLOW_SUPERUSER": SUPERUSER,
    }
    return empty_site


@pytest.fixture
def site_of(empty_site: Site) -> Callable[[str], Site]:
    """Make a site whose database has the shape of a release, with users for its AUTO_LOGIN."""

    def make(release: str) -> Site:
        database = databases.made(empty_site.folder / empty_site.path, databases.SHAPES[release])
        database.add_user("langflow", last_login_at=databases.ago(days=1))
        database.add_user(SUPERUSER)
        empty_site.shape = database.shape
        empty_site.settings = {
            "LANGFLOW_DATABASE_URL": f"sqlite:///{database.path}",
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
    """A store that is opened by the settings of the environment, as the command line reads them."""
    for name, text in {**site.settings, "LANGFLOW_CONFIG_DIR": str(site.folder)}.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:
        yield store
