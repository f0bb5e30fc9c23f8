"""Read rows of users without langkeys, and change them before langkeys reads them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from langkeys import users
from langkeys.config.settings import Settings
from langkeys.models import User
from langkeys.store.protocol import Store

from ..conftest import SUPERUSER
from .databases import Database

NAMED = Settings(environ={"LANGFLOW_SUPERUSER": SUPERUSER})
OTHER_NAMED = Settings(environ={"LANGFLOW_SUPERUSER": "somebody-else"})


def get_user(store: Store, name: str = SUPERUSER) -> User:
    return users.get_user(store, name, warn=pytest.fail)


def row(database: Database, name: str) -> dict[str, Any]:
    columns = ("id", "password", "is_active", "is_superuser", "create_at", "updated_at", "optins")
    (found,) = database.rows(f"SELECT {', '.join(columns)} FROM user WHERE username = ?", (name,))
    return dict(zip(columns, found, strict=True))


@contextmanager
def undo_before_read_back(
    store: Store, monkeypatch: pytest.MonkeyPatch, database: Database, sql: str
) -> Iterator[None]:
    """Run ``sql``, which undoes a write, just before the store reads it back."""
    reopened = store.reopened

    @contextmanager
    def late() -> Iterator[Store]:
        database.rows(sql)
        with reopened() as fresh:
            yield fresh

    with monkeypatch.context() as patch:
        patch.setattr(store, "reopened", late)
        yield
