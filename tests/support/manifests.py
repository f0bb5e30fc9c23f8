"""Write and apply manifests on a site, and check its database afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langkeys.api_keys.ending import Endings
from langkeys.api_keys.finder import KeyFinder
from langkeys.authentication import Acting
from langkeys.config.settings import Settings
from langkeys.crypto.passwords import hash_password, matches
from langkeys.manifest.apply import Limits, Services
from langkeys.manifest.context import Context
from langkeys.store.protocol import Store

from ..conftest import SUPERUSER
from . import stores
from .databases import Database
from .samples import SECRET_KEY, hash_of
from .sites import Result, Site

FILE = "m.yaml"


class Declared:
    """A site with a manifest."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.settings.setdefault("LANGFLOW_CONFIG_DIR", str(site.folder / "config"))
        (site.folder / "out").mkdir(exist_ok=True)

    @property
    def database(self) -> Database:
        return self.site.database

    def write(self, text: str, **files: str) -> Path:
        """Write the manifest, after a line with its version, and other files beside it."""
        for name, content in files.items():
            (self.site.folder / name).write_text(content)
        path = self.site.folder / FILE
        path.write_text(f"version: 1\n{text}\n", encoding="utf-8")
        return path

    def plan(self, *options: str, **settings: str | None) -> Result:
        return self.site.call("plan", "-f", FILE, *options, **settings)

    def apply(self, *options: str, **settings: str | None) -> Result:
        return self.site.call("apply", "-f", FILE, "--yes", *options, **settings)

    def assert_up_to_date(self, *options: str, **settings: str | None) -> None:
        """Assert that a plan finds no changes."""
        result = self.plan("--exit-code", *options, **settings)
        assert (result.code, result.stdout) == (0, ""), result

    def out(self, name: str = "key") -> str:
        return (self.site.folder / "out" / name).read_text(encoding="utf-8")

    def keys(self, name: str) -> list[tuple[str, str | None]]:
        """Return the ids and hashes of all API keys with a name."""
        return [
            (row[0], row[1])
            for row in self.database.rows(
                "SELECT id, api_key_hash FROM apikey WHERE name = ? ORDER BY created_at", (name,)
            )
        ]

    def assert_accepted(self, api_key: str, username: str) -> None:
        """Assert that an API key is accepted and belongs to a user."""
        result = self.site.call("whoami", "--api-key", "-", stdin=api_key).done()
        assert result.rows[0][1] == username

    def assert_only_key(self, name: str, username: str, file: str = "key") -> None:
        """Assert that a file contains the only API key with a name, and that it works."""
        ((_, found),) = self.keys(name)
        assert found == hash_of(self.out(file))
        self.assert_accepted(self.out(file), username)


def new_key() -> str:
    return f"sk-{secrets.token_urlsafe(32)}"


@contextmanager
def context(database: Database, **settings: str) -> Iterator[Context]:
    """Yield a planner's context on a database; the acting user is the site's superuser."""
    with stores.opened(database, writable=True) as store:
        yield context_on(store, **settings)


def context_on(store: Store, **settings: str) -> Context:
    found = {"LANGFLOW_SUPERUSER": SUPERUSER, "LANGFLOW_SECRET_KEY": SECRET_KEY, **settings}
    user = store.find_user_named(SUPERUSER)
    assert user is not None
    finder = KeyFinder(store, stores.cipher)
    return Context(
        store=store,
        settings=Settings({}, environ=found),
        acting=Acting(user, "test"),
        cipher=stores.cipher,
        endings=Endings(store, finder, judge=_judge()),
        matches_password=matches,
        was_revoked=lambda _: False,
    )


def _judge() -> Any:
    from langkeys.api_keys.verification import NOTHING_SET

    return NOTHING_SET


def services(**more: Any) -> Services:
    return Services(
        **{
            "cipher": stores.cipher,
            "hash_password": hash_password,
            "check_secret_key": lambda: None,
            "confirm": lambda _: None,
            "warn": lambda _: None,
            **more,
        }
    )


NO_LIMITS = Limits()
